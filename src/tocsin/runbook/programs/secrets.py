"""Words that name secrets: files, environment variables, parts of addresses."""

from __future__ import annotations

import re

_FILE = re.compile(
    r"""
    secret|passw|passwd|shadow|credential|(?<![a-z])token|kubeconfig|keytab|htpasswd|keystore
    |private[-_/]?key|api[-_]?key|service[-_]?account.*\.json|\bvault\b|/pki/
    |\.env(?:\b|\.)|(?:^|/)environ$|/proc/(?:\d+|self|<|\$|\{).*/(?:environ|mem)$|/proc/kcore
    |id_(?:rsa|dsa|ecdsa|ed25519)|\.(?:pem|key|p12|pfx|jks|kdbx|ppk|ovpn|tfstate|gpg|asc)\b
    |(?:^|/)\.(?:pgpass|netrc|my\.cnf|mylogin\.cnf|git-credentials|npmrc|pypirc|dockercfg)\b
    |(?:^|/)\.(?:aws|kube|ssh|gnupg|azure|docker)/|ssh_host_\w+_key$|\.config/gcloud
    |_history$|wp-config|/etc/sudoers|admin\.conf$|/var/lib/kubelet
    |(?:^|/)(?:values|config|settings)[\w.-]*secret
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NAME = re.compile(
    r"secret|passw|passwd|passphrase|token|credential|private_?key|api_?key|access_?key"
    r"|auth_?key|encryption_?key|signing_?key|_dsn\b|(?:database|db|redis|amqp|broker|mongo\w*)_ur[li]\b",
    re.IGNORECASE,
)


def is_secret_file(word: str) -> bool:
    """Say whether a path looks as if the file held something secret."""
    return _FILE.search(word) is not None


def is_secret_name(word: str) -> bool:
    """Say whether the name of a variable or a setting looks as if its value were secret."""
    return _NAME.search(word) is not None
