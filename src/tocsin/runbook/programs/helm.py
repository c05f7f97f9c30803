"""helm: it reads releases; what was put into them may be secret."""

from __future__ import annotations

from tocsin.runbook.flags import parse_flags
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Trait,
    Verdict,
    mutates,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_VALUED = words_of("""-n --namespace -o --output --revision --max -f --filter -l --selector -m --kube-context
    --kubeconfig --kube-apiserver --kube-token --kube-as-user --kube-as-group --kube-ca-file
    --repository-config --registry-config --version --repo --offset""")
_OWN_CLUSTER = words_of("""--kube-context --kubeconfig --kube-apiserver --kube-token --kube-as-user --kube-as-group
    --kube-ca-file --kube-tls-server-name --kube-insecure-skip-tls-verify""")
_READERS = {
    "list": words_of("""-A --all-namespaces -a --all -o --output --max -m -f --filter -l --selector --deployed --failed
        --pending --superseded --uninstalled --uninstalling -q --short -d --date -r --reverse --no-headers --offset"""),
    "status": words_of("-o --output --revision --show-desc --show-resources"),
    "history": words_of("--max -o --output"),
    "version": words_of("--short"),
    "search": words_of("--versions -l --version -o --output"),
}
_SHORTER = {"ls": "list", "hist": "history"}


def judge(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``helm``."""
    parsed = parse_flags(argv, _VALUED, short_equals=True)
    if own := parsed.named(*_OWN_CLUSTER):
        why = f"{own[0].name} chooses another cluster or user than the one that is pinned"
        return mutates(None, why, ((Trait.OWN_CLUSTER, own[0].at),))
    verb, sub = (*parsed.words, "", "")[:2]
    verb = _SHORTER.get(verb, verb)
    if verb in _READERS:
        if strange := parsed.beyond(_READERS[verb] | {"-n", "--namespace"}):
            return unknown_flag(argv, strange)
        return reads(argv, f"helm {verb} only reads")
    if (verb, sub) == ("repo", "list") and not parsed.flags:
        return reads(argv, "helm repo list only reads")
    if verb == "get":
        if strange := parsed.beyond(words_of("-n --namespace -o --output --revision -a --all")):
            return unknown_flag(argv, strange)
        if sub == "notes":
            return reads(argv, "helm get notes only reads")
        return shows_secrets(argv, "helm get shows values, which may be secrets")
    return mutates(argv, f"helm {verb} may change the cluster" if verb else "helm without a verb")
