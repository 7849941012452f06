"""The look of the report, for light and dark screens and for paper."""

STYLE = """
:root{--ink:#1c2430;--soft:#667085;--line:#e3e7ee;--paper:#fff;--back:#f5f7fa;--base:#b4bfce;--now:#2563eb;
--bad:#c2410c;--good:#15803d;--warm:#fff4ec}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#98a2b3;--line:#2c3442;--paper:#171c25;--back:#0f131a;
--base:#56637a;--now:#6ea0ff;--bad:#fb923c;--good:#4ade80;--warm:#2a2019}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif}
main{max-width:1020px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:0 0 10px;overflow-wrap:anywhere}
.state{font-size:18px;font-weight:600;margin:0}.state.good{color:var(--good)}.state.bad{color:var(--bad)}
.note{color:var(--soft);font-size:13px;margin:6px 0}
.legend{display:flex;gap:8px;align-items:center;font-size:13px;color:var(--soft);margin:10px 0}
.key{width:14px;height:10px;border-radius:2px;display:inline-block}.now-key{margin-left:10px}
.base-key{background:var(--base)}.now-key{background:var(--now)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:18px 0 24px}
.tile{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:12px 16px;display:flex;
flex-direction:column}
.tile span,.tile em{color:var(--soft);font-size:13px;font-style:normal}.tile strong{font-size:24px;line-height:1.25}
section{margin-bottom:22px}
.card{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:18px 20px;break-inside:avoid}
.card.bad{border-left:4px solid var(--bad)}
.tag{font-size:12px;font-weight:500;background:var(--warm);color:var(--bad);border-radius:10px;padding:2px 9px;
margin-left:4px;white-space:nowrap}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px}
figure{margin:0}svg{width:100%;height:auto;display:block;max-width:520px}
.grid-of{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:12px}
.small{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:10px}
.small figcaption{font-size:13px;font-weight:600;overflow-wrap:anywhere}
.grid line{stroke:var(--line)}.axis text{fill:var(--soft);font-size:11px}.axis .label{fill:var(--ink);font-size:12px}
.base{fill:var(--base)}.now-bar{fill:var(--now)}.now-fill{fill:var(--now);opacity:.16}
.now{fill:none;stroke:var(--now);stroke-width:2;stroke-linejoin:round}
.base-line{fill:none;stroke:var(--base);stroke-width:2.5}
.gap{stroke:var(--bad);stroke-width:2}.gap-text{fill:var(--bad);font-size:12px;font-weight:600;
paint-order:stroke;stroke:var(--paper);stroke-width:4px}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin:8px 0}
th,td{text-align:left;padding:4px 18px 4px 0;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:500}
td:first-child{overflow-wrap:anywhere}.hit td{color:var(--bad);font-weight:600}
.wide{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:6px 16px}
.wide table{width:100%}
details{font-size:13px;margin-top:4px}summary{cursor:pointer;color:var(--soft)}ul{margin:6px 0;padding-left:20px}
code{font-size:12px;overflow-wrap:anywhere}
@media print{body{background:#fff}details{display:block}}
"""
