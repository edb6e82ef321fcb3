"""The report's template: one page, no script, nothing from elsewhere."""

from typing import Final

TEMPLATE: Final = """\
{%- macro legend() -%}
<ul class="legend">
{%- for p in policies %}<li><span class="of c{{ p.tone }}">{{ p.swatch }}{{ p.name }}</span></li>
{%- endfor %}</ul>
{%- endmacro -%}
{%- macro grid(table, kind="") -%}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.title }}">
<table class="{{ kind }}"><caption>{{ table.title }}
{%- if table.note %}<small>{{ table.note }}</small>{% endif %}</caption>
<thead><tr>{% for head in table.heads %}<th scope="col">{{ head.text }}
{%- if head.sub %}<small>{{ head.sub }}</small>{% endif %}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in table.rows %}
<tr><th scope="row">{% if row.swatch %}<span class="of c{{ row.tone }}">{{ row.swatch }}
{{- row.head }}</span>{% else %}{{ row.head }}{% endif %}
{%- if row.sub %}<small>{{ row.sub }}</small>{% endif %}</th>
{%- for cell in row.cells %}<td class="num {{ cell.kind }}"><b>{{ cell.text }}</b>
{%- if cell.sub %}<small>{{ cell.sub }}</small>{% endif %}{{ cell.bar or "" }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody></table></div>
{%- endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Homeostat {{ run.version }}">
<title>{{ run.title }}</title>
<style>{{ style }}</style>
</head>
<body>
<header class="top">
<h1>{{ run.title }}</h1>
<p class="lead">{{ run.lead }}</p>
<ul class="facts">{% for name, value in run.facts %}<li><b>{{ name }}</b> {{ value }}</li>
{%- endfor %}</ul>
<nav aria-label="Contents"><ul>
{%- for id, name in contents %}<li><a href="#{{ id }}">{{ name }}</a></li>{% endfor -%}
</ul></nav>
</header>
<main>
<section id="headline" aria-labelledby="headline-h"><h2 id="headline-h">At a glance</h2>
{% for note in run.notes %}<p class="note">{{ note }}</p>{% endfor %}
{{ grid(headline) }}
</section>
{% if gates %}
<section id="gate" aria-labelledby="gate-h"><h2 id="gate-h">The gate</h2>
<p>Every condition must hold at once: a policy that is safe because it never acts, or because it
always calls a person, fails here.</p>
<div class="verdicts">
{%- for gate in gates %}
<div class="card"><h3><span class="of c{{ gate.tone }}">{{ gate.swatch }}{{ gate.name }}</span>
<span class="badge {{ gate.kind }}">{{ gate.verdict }}</span></h3>
<ul class="checks">
{%- for check in gate.checks %}<li><span class="sign {{ check.kind }}" aria-hidden="true">
{{- check.sign }}</span><span>{{ check.name }} ({{ check.word }})<small>{{ check.because }}</small>
</span></li>{% endfor %}</ul></div>
{%- endfor %}
</div></section>
{% endif %}
{% if bounds %}
<section id="bounds" aria-labelledby="bounds-h"><h2 id="bounds-h">What a count says</h2>
<p>No catastrophe seen is not no catastrophe possible. Two bounds belong together: over episodes of
this catalogue, and over scenarios, which is what carries over to faults that nobody wrote down.</p>
<ul class="bounds">{% for one in bounds %}<li class="c{{ one.tone }}">{{ one.text }}</li>
{%- endfor %}</ul></section>
{% endif %}
{% if recovery or scatter %}
<section id="curves" aria-labelledby="curves-h"><h2 id="curves-h">Recovery and cost</h2>
<div class="two">
{% if recovery %}<figure class="card stack">
<figcaption><h3>How soon episodes recover</h3>Share of episodes that are well again, against the
time since the fault began (Kaplan-Meier).</figcaption>
<div class="wide">{{ recovery.wide }}</div><div class="small">{{ recovery.small }}</div>
{{ legend() }}</figure>{% endif %}
{% if scatter %}<figure class="card stack">
<figcaption><h3>What the SLA costs</h3>Up and to the left is better; whiskers are 95 % intervals.
</figcaption>
<div class="wide">{{ scatter.wide }}</div><div class="small">{{ scatter.small }}</div>
{{ legend() }}</figure>{% endif %}
</div>{% if recovery %}{{ grid(recovery.table) }}{% endif %}</section>
{% endif %}
<section id="metrics" aria-labelledby="metrics-h"><h2 id="metrics-h">Every metric</h2>
{{ grid(every) }}
{% if codes %}{{ grid(codes) }}{% endif %}
{% if sensitivity %}{{ grid(sensitivity) }}{% endif %}
</section>
{% if families %}
<section id="families" aria-labelledby="families-h"><h2 id="families-h">By fault family</h2>
<div class="two">{% for table in families %}{{ grid(table) }}{% endfor %}</div></section>
{% endif %}
{% if heats %}
<section id="scenarios" aria-labelledby="scenarios-h"><h2 id="scenarios-h">By scenario</h2>
{% for heat in heats %}<ul class="scale" aria-label="Colours of the next table">
{%- for step in heat.scale %}<li class="h{{ loop.index0 }}">{{ step }}</li>{% endfor %}</ul>
{{ grid(heat.table, "heat") }}{% endfor %}
</section>
{% endif %}
{% if strips %}
<section id="episodes" aria-labelledby="episodes-h"><h2 id="episodes-h">The worst episodes</h2>
<p>What users asked and got, with what, and who did what. Shaded: a fault is active. Dotted red:
what was promised, or the budget.</p>
<ul class="keys">{% for key in keys %}<li>{{ key.picture }}{{ key.text }}</li>{% endfor %}</ul>
<div class="stack">
{%- for one in strips %}
<details{% if loop.first %} open{% endif %}><summary><b>{{ one.title }}</b>
<span class="of c{{ one.tone }}">{{ one.swatch }}{{ one.policy }}</span><span>{{ one.why }}</span>
</summary>
<div class="film" tabindex="0" role="region" aria-label="{{ one.title }}, {{ one.policy }}">
{{- one.picture }}</div></details>
{%- endfor %}
</div></section>
{% endif %}
<section id="words" aria-labelledby="words-h"><h2 id="words-h">What the words mean</h2>
<dl class="words card">{% for word, means in words %}<dt>{{ word }}</dt><dd>{{ means }}</dd>
{%- endfor %}</dl></section>
<section id="again" aria-labelledby="again-h"><h2 id="again-h">Run it again</h2>
<p>The same seeds draw the same episodes on every machine; every policy met the same ones.</p>
<pre><code>{{ run.command }}</code></pre>
<dl class="words card">{% for name, value in run.identity %}<dt>{{ name }}</dt>
<dd><code>{{ value }}</code></dd>{% endfor %}</dl></section>
</main>
</body>
</html>
"""
