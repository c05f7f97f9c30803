"""How long a large folder of runbooks takes: all of it, and one edited document among many."""

from __future__ import annotations

import time
from pathlib import Path

from tests.benches.shares import Row
from tests.runbook.documents import PROCESS
from tocsin.runbook import Compiler

_EDITS = 20
_SCENARIO = """
## {name}{n}

**Alert:** `{name}{n}High` - more than {n} per second
**Severity:** P1

**Symptoms:**
- The {name} of shop {n} answers slowly
- Orders of shop {n} time out

**Investigation:**

```bash
# 1. Look at the pods
kubectl get pods -n shop-{n} -l app={name}
# 2. Look at what they say
kubectl logs deployment/{name} -n shop-{n} --tail=100 | grep -i error
psql -c "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop_{n}'"
```

**Resolution:**
1. Restart it: `kubectl rollout restart deployment/{name} -n shop-{n}`
2. If a release is to blame, take it back: `kubectl rollout undo deployment/{name} -n shop-{n}`
3. Verify that it has recovered: `curl -s https://shop-{n}.example.org/health`

See [the other one](./{name}{n}.md#{anchor}).
"""


def rows(folder: Path, count: int = 1_000) -> list[Row]:
    """Return how long ``count`` documents of some forty lines take, and an edited one of them."""
    documents = {f"{n}.md": _document(n) for n in range(count - 1)}
    documents["process.md"] = PROCESS
    compiler = Compiler()
    began = time.perf_counter()
    compiler.compile(documents)
    whole_s = time.perf_counter() - began
    took: list[float] = []
    for edit in range(_EDITS):
        name = f"{edit % max(1, count - 1)}.md"
        documents[name] = documents.get(name, "") + f"\n4. Look once more, time {edit}\n"
        began = time.perf_counter()
        compiler.compile(documents)
        took.append(time.perf_counter() - began)
    lines = sum(text.count("\n") for text in documents.values())
    return [
        (f"compiler: {count:,} documents, {lines:,} lines", "5 s", f"{whole_s:.2f} s"),
        (
            "compiler: one of them edited, the slowest of 20",
            "100 ms",
            f"{max(took) * 1000:.0f} ms",
        ),
    ]


def _document(n: int) -> str:
    name = ("Cart", "Search", "Payment", "Stock")[n % 4]
    body = _SCENARIO.format(name=name, n=n, anchor=f"{name}{n}".lower())
    return f"# Runbook {n}\n{body}"
