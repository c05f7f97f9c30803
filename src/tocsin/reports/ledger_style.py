"""The style of the annotated document, on top of that of every report."""

from __future__ import annotations

STYLE = """\
main{max-width:1440px;padding:32px 32px 64px}
.top{display:flex;flex-wrap:wrap;gap:16px 48px;align-items:flex-end;justify-content:space-between}
.top>div{min-width:0}.facts span,.docname{min-width:0;overflow-wrap:anywhere}.top .lead{margin-top:8px}
.share{display:flex;gap:2px;height:10px;margin-top:24px;list-style:none}
.share li{min-width:3px;border-radius:2px}
.keys{display:flex;flex-wrap:wrap;gap:6px 24px;margin-top:10px;font-size:.875rem}
.keys li{display:flex;align-items:center;gap:8px}.keys .n{color:var(--ink3)}
.a{--c:light-dark(#4f7f66,#63cc98)}.h{--c:light-dark(#2f45c5,#a3b2ff)}
.r{--c:light-dark(#b5b8bd,#4d525a)}.t{--c:light-dark(#8a6d1f,#d6b95a)}.u{--c:var(--p0)}
.share .a,.share .r,.share .u{background:var(--c)}
.share .h{border:2px solid var(--c)}
.share .t{background:repeating-linear-gradient(90deg,var(--c) 0 4px,transparent 4px 7px)}
.mk{display:block;width:8px;min-height:18px;align-self:stretch;flex:none}
.mk.a{background:var(--c)}.mk.h{border-inline:2px solid var(--c)}.keys .mk.h{border-block:2px solid var(--c)}
.mk.r{width:2px;margin-inline-start:3px;background:var(--c)}
.mk.t{background:repeating-linear-gradient(var(--c) 0 4px,transparent 4px 7px)}
.mk.u{position:relative}.mk.u::after{content:"";position:absolute;inset:4px auto auto -3px;width:14px;height:14px;
background:var(--c);clip-path:polygon(20% 0,50% 30%,80% 0,100% 20%,70% 50%,100% 80%,80% 100%,50% 70%,20% 100%,0 80%,30% 50%,0 20%)}
.show{display:flex;flex-wrap:wrap;gap:8px;margin:24px 0 0;padding:0;border:0;font-size:.875rem}
.show legend{float:left;padding:5px 8px 5px 0;color:var(--ink3)}
.show label{position:relative;display:inline-flex;align-items:center;min-height:32px;padding:2px 12px;border:1px solid var(--rule2);
border-radius:99px;cursor:pointer}
.show input{position:absolute;opacity:0;inset:0;margin:0;cursor:pointer}
.show label:has(:checked){background:var(--ink);color:var(--bg);border-color:var(--ink)}
.show label:has(:focus-visible){outline:2px solid var(--act);outline-offset:2px}
body:has(#only-found:checked) .doc .l:not(.has),body:has(#only-h:checked) .doc .l:not(.is-h),
body:has(#only-u:checked) .doc .l:not(.is-u){display:none}
body:has(.show input:checked:not(#all)) .doc .gap{display:none}
.book{display:grid;grid-template-columns:minmax(0,1fr) 348px;gap:56px;margin-top:24px;
padding-top:24px;border-top:1px solid var(--rule)}
.book section{margin-top:0;padding-top:0;border:0}
.side{font-size:.875rem;align-self:start;position:sticky;top:16px;max-height:calc(100vh - 32px);overflow-y:auto;
scrollbar-width:thin}
.side section{padding-bottom:20px;margin-bottom:20px;border-bottom:1px solid var(--rule)}
.side section:last-child{border:0}.side h3{margin-bottom:12px;color:var(--ink3);font-weight:400}
.side li>div{min-width:0}.side .sev{font-size:11px;flex:none}
.levels li,.plays li{display:flex;gap:12px;align-items:flex-start;padding-block:6px}
.ladder{width:100%;height:auto;margin-bottom:8px}
.ladder .full{fill:var(--ink)}.ladder .open{fill:var(--bg);stroke:var(--ink);stroke-width:2}
.ladder .blank{fill:var(--bg)}.ladder .bad{stroke:var(--p0-text);stroke-width:2.2}
.climb{display:grid;grid-template-columns:44px minmax(0,1fr);gap:6px;padding-block:10px;border-top:1px solid var(--rule)}
.climb:first-child{border-top:0}.climb h4{margin:0}.climb>ol:only-child{grid-column:1/-1}
.rungs li{position:relative;padding:0 0 10px 20px}
.rungs li::before{content:"";position:absolute;left:2px;top:6px;width:10px;height:10px;border-radius:50%;
background:var(--ink);border:2px solid var(--ink);z-index:1}
.rungs li::after{content:"";position:absolute;left:6px;top:8px;bottom:-8px;border-left:2px solid var(--rule2)}
.rungs li:last-child::after{display:none}.rungs li:last-child{padding-bottom:0}
.rungs .notice::before{background:var(--bg)}.rungs .nobody::before{background:var(--bg);border-color:var(--p0-text);border-style:dashed}
.rungs .nobody p+p{color:var(--p0-text)}.rungs .none{padding-left:0;color:var(--p0-text)}.rungs .none::before{display:none}
.events{margin-top:8px;padding-top:8px;border-top:1px solid var(--rule)}
.told li{display:flex;justify-content:space-between;gap:16px;padding-block:5px}
.told li span:last-child{text-align:end;color:var(--ink2)}.told .bad{color:var(--p0-text)!important}
.docname{margin:24px 0 12px;font-size:1.125rem}.docname:first-child{margin-top:0}
.docname code{font-size:.875em}
.l{position:relative;display:grid;grid-template-columns:40px 8px minmax(0,1fr) 230px;column-gap:14px;
border-radius:4px;scroll-margin-top:40px}
.l:target{background:var(--act-soft)}
.no{font:400 .75rem/1.5rem var(--mono);color:var(--ink3);text-align:end;text-decoration:none}
.no:hover{color:var(--act);text-decoration:underline}
.l .tx{line-height:1.5rem;min-width:0}.l .ru{font-size:.78rem;line-height:1.5rem;color:var(--ink3);
white-space:nowrap;overflow:hidden;text-overflow:ellipsis;min-width:0}
.l:is(:hover,:target,:focus-within) .ru{white-space:normal;overflow:visible;line-height:1.35;padding-top:3px;
min-height:1.5rem;height:0}
.l .mk{min-height:0}.is-u .ru{color:var(--p0-text)}
.gap{height:12px}.in.l{min-height:12px}
.h1 .tx{font-size:1.5rem;font-weight:600;line-height:1.3}.h2 .tx{font-size:1.1875rem;font-weight:600}
.h3 .tx{font-size:1rem;font-weight:600}.h2{margin-top:16px}.h2 .no,.h2 .ru{line-height:1.75rem}.h1 .no,.h1 .ru{line-height:2rem}
.li .tx{display:grid;grid-template-columns:20px minmax(0,1fr)}.li .b{color:var(--ink3);white-space:nowrap}
.li.d1 .tx{padding-inline-start:20px}.li.d2 .tx{padding-inline-start:40px}.li.d3 .tx{padding-inline-start:60px}
.tx code{background:var(--sunk);padding:1px 5px;border-radius:4px}
.code .tx,.fence .tx,.row .tx{font:400 .8rem/1.5rem var(--mono);background:var(--sunk);padding-inline:12px;white-space:pre-wrap;
overflow-wrap:anywhere}
.row .tx{background:none;padding:0}.fence .tx,.row.rule .tx{color:var(--ink3)}.to{text-decoration:underline;
text-decoration-color:var(--rule2)}
mark{background:none;color:inherit;text-decoration:underline 2px;text-underline-offset:3px;
text-decoration-color:var(--f,var(--ink))}
.has.e{--f:var(--p0)}.has.w{--f:var(--p1)}.has.i{--f:var(--act)}
.fd{grid-column:3/-1;margin:4px 0 8px;border-inline-start:3px solid var(--f);padding:2px 0 2px 12px;font-size:.875rem;
line-height:1.45;max-width:78ch}
.fd.e{--f:var(--p0)}.fd.w{--f:var(--p1)}.fd.i{--f:var(--act)}
.fd .code-of{font:600 .8125rem/1.4 var(--mono)}.fd.e .code-of{color:var(--p0-text)}
.fd.w .code-of{color:light-dark(#8f3e00,#ffb27a)}.fd.i .code-of{color:var(--act)}
.fd .mend{color:var(--ink2)}.fd .mend::before{content:"\\2192\\00a0"}.fd .hint{font-weight:600}
.found{columns:3 300px;column-gap:40px;font-size:.875rem;margin-top:12px}
.found li{break-inside:avoid;padding-block:3px}.found a{color:inherit;text-decoration-color:var(--rule2)}
.found .w{color:light-dark(#8f3e00,#ffb27a)}.found .e{color:var(--p0-text)}
a:focus-visible{outline:2px solid var(--act);outline-offset:2px}
a.cite{text-decoration:none;border-bottom:1px solid var(--rule2)}
@media (max-width:1080px){.book{grid-template-columns:minmax(0,1fr)}.side{position:static;max-height:none;overflow:visible;
border-top:1px solid var(--rule);padding-top:24px}}
@media (max-width:720px){main{padding:24px 16px 48px}.l{grid-template-columns:28px 8px minmax(0,1fr);column-gap:10px}
.l .ru,.l:is(:hover,:target,:focus-within) .ru{grid-column:3;white-space:normal;height:auto;line-height:1.35;padding:0 0 4px}.l .ru:empty{display:none}.fd{grid-column:3}}
@media (forced-colors:active){.mk,.share li,.rungs li::before,.mk.u::after{forced-color-adjust:none}}
@media print{.show{display:none}.book{display:block;border:0;padding:0}.side{position:static;max-height:none;overflow:visible;
break-before:page;columns:2}.side section{break-inside:avoid}.l{break-inside:avoid;font-size:9.5pt}.l .tx,.no{line-height:1.3rem}
.l{grid-template-columns:32px 8px minmax(0,1fr) 170px}.l .ru{white-space:normal;line-height:1.25;font-size:7.5pt}.mk,.share li,mark,.rungs li::before,.sev{print-color-adjust:exact}
body:has(.show input:checked) .doc .l{display:grid!important}.h1,.h2,.h3{break-after:avoid}}
"""
