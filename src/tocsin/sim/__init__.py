"""The core in virtual time: modelled timers and a modelled courier, nothing real."""
