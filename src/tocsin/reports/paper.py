"""One self-contained page: the sheet that every report is printed on. No script, nothing to load."""

from __future__ import annotations

import html
import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

STYLE = """\
:root{color-scheme:light dark;--bg:light-dark(#fafaf8,#0f1012);--raise:light-dark(#fff,#191b1f);
--sunk:light-dark(#1b1d200d,#ffffff12);--ink:light-dark(#17191c,#e6e7e9);
--ink2:light-dark(#484c53,#b3b7bd);--ink3:light-dark(#63676f,#8f949c);
--rule:light-dark(#e5e5e0,#25282c);--rule2:light-dark(#cbcbc5,#3b4047);
--act:light-dark(#2f45c5,#a3b2ff);--act-soft:light-dark(#eceffb,#1b2140);
--p0:light-dark(#b81f2d,#d5333d);--p0-text:light-dark(#a81826,#ff9496);
--p1:light-dark(#e0701a,#f08a3c);--p2:light-dark(#f3cd5b,#e9c555);--p3:light-dark(#6b7280,#9aa1ac);
--ok:light-dark(#14724a,#63cc98);
--sans:Geist,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
--mono:"Atkinson Mono",ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,monospace}
*,::before,::after{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:400 .9375rem/1.5 var(--sans);
font-variant-numeric:tabular-nums;overflow-wrap:break-word}
h1,h2,h3,p,ul,ol,dl,dd,figure,table{margin:0;padding:0}ul,ol{list-style:none}
h1,h2,h3{font-weight:600;line-height:1.25;text-wrap:balance}
h1{font-size:2rem;letter-spacing:-.018em}h2{font-size:1.125rem;letter-spacing:-.005em}
h3{font-size:.9375rem}svg{display:block}code{font:500 .8125em/1.4 var(--mono)}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
.facts{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--ink3);font-size:.875rem;
margin-bottom:8px}
.lead{margin-top:12px;font-size:1.0625rem;color:var(--ink2);max-width:74ch}
section{margin-top:24px;padding-top:24px;border-top:1px solid var(--rule)}
section>h2{margin-bottom:12px}
.quiet{color:var(--ink3)}.small{font-size:.875rem}.num{text-align:end;white-space:nowrap}
.cite{font:500 .8125em/1.3 var(--mono);color:var(--act);white-space:nowrap}
.vh{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.875rem}
caption{text-align:start;color:var(--ink3);padding-bottom:6px}
th{text-align:start;font-weight:600}td,th{padding:8px 14px 8px 0;vertical-align:top;
border-top:1px solid var(--rule)}thead th{border-top:0;color:var(--ink3);font-weight:400;padding-top:0}
.stats{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:16px 24px;
padding-block:16px;border-block:1px solid var(--rule);margin-top:24px}
.stats dt{color:var(--ink3);font-size:.875rem}.stats dd{font-size:1.25rem;font-weight:600}
.sev{display:inline-grid;place-items:center;min-width:2.6em;height:2.5em;padding:0 .3em;
font:700 12px/1 var(--sans);border:2px solid var(--p3);border-radius:50%;color:var(--ink)}
.sev.p0{background:var(--p0);color:#fff;border:0;border-radius:0;
clip-path:polygon(30% 0,70% 0,100% 30%,100% 70%,70% 100%,30% 100%,0 70%,0 30%)}
.sev.p1{background:var(--p1);color:#1c0c00;border:0;border-radius:0;padding-top:.35em;
clip-path:polygon(50% 0,100% 36%,84% 100%,16% 100%,0 36%)}
.sev.p2{background:var(--p2);color:#261d00;border:0;border-radius:0;
clip-path:polygon(50% 0,100% 50%,50% 100%,0 50%)}
svg text{font:400 12px var(--sans);fill:var(--ink2)}svg .meta{fill:var(--ink3);font-size:11px}
svg .name{fill:var(--ink);font-weight:600}svg .hair{stroke:var(--rule);fill:none}
svg .edge{stroke:var(--rule2);fill:none}
footer{margin-top:48px;padding-top:16px;border-top:1px solid var(--rule);color:var(--ink3);
font-size:.78rem}
@media (forced-colors:active){.sev{forced-color-adjust:none}svg *{forced-color-adjust:auto}}
@media print{:root{color-scheme:light;--bg:#fff}main{max-width:none;padding:0}
section{break-inside:avoid-page}.scroll{overflow:visible}tr,li{break-inside:avoid}}
"""


def page(title: str, body: str, *, style: str = "") -> str:
    """Return a whole HTML document. ``title`` is text, ``body`` is markup, ``style`` more CSS."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)} · Tocsin</title>\n<style>\n{STYLE}{style}</style>\n</head>\n"
        f'<body>\n<main id="main">\n{body}\n</main>\n</body>\n</html>\n'
    )


def text(said: object) -> str:
    """Return text that reads as itself in HTML, in an attribute as well."""
    return html.escape(_UNPRINTABLE.sub("\ufffd", str(said)), quote=True)


def mark(level: str, rank: int | None) -> str:
    """Return the mark of a severity: its shape tells the rank (0 is the worst), its text the level."""
    shape = f" p{min(rank, 3)}" if rank is not None else ""
    return f'<span class="sev{shape}">{text(level)}</span>'
