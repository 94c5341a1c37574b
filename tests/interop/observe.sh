#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What operators watch: the agent's numbers for Prometheus, the program that hears of refusals,
# status --watch.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl pkcs11-tool python3
lab_up
M=$T/vouchsafe.prom
mkdir -m 755 "$T/hook"
cat >"$T/hook/refused" <<EOF
#!/bin/sh
cat >$T/hook/verdict.new
env >$T/hook/env
echo "\$#" >$T/hook/arguments
mv $T/hook/verdict.new $T/hook/verdict
[ ! -e $T/hook/slow ] || sleep 60
EOF
chmod 755 "$T/hook/refused"
sed -i "s,^\[global\],[global]\nmetrics-file = $M\nrefusal-hook = $T/hook/refused\nrefusal-hold = 100ms," "$VOUCHSAFE_CONF"
start_agent() {
	"$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$T/agent.log" &
	AGENT_PID=$!
	n=0
	until "$VOUCHSAFE" status --agent >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 100 ] || fail "no agent"
		sleep 0.05
	done
}
gate() { "$VOUCHSAFE" gate --lab --agent --timeout 20s --token lab-vault >"$T/gate.out" 2>&1 || true; }
# The file has become one of which this Python expression over v("name", label="value") is true.
number() { # WHAT EXPRESSION
	_n=0
	until python3 - "$M" "$2" <<-'EOF'
		import re, sys
		values, types, seen = {}, {}, set()
		for line in open(sys.argv[1]).read().split("\n")[:-1]:
		    if line.startswith("# TYPE"): types[line.split()[2]] = line.split()[3]; continue
		    if line.startswith("# HELP"): continue
		    m = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)', line)
		    assert m, line
		    labels = tuple(sorted(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', m[2] or "")))
		    assert (m[1], labels) not in values, line
		    values[m[1], labels] = float(m[3])
		    base = re.sub("_(bucket|sum|count)$", "", m[1])
		    assert m[1] in types or types.get(base) == "histogram", line
		def v(name, **labels): return values.get((name, tuple(sorted(labels.items()))), 0)
		sys.exit(0 if eval(sys.argv[2]) else 1)
	EOF
	do
		_n=$((_n + 1))
		[ $_n -lt 40 ] || { cat "$M"; cat "$T/gate.out"; fail "$1: never $2"; }
		sleep 0.1
	done 2>/dev/null
	ok "$1"
}
A='v("vouchsafe_attestations_total", token="lab-vault"'

note "numbers"
start_agent
number "the file is there from the start" 'v("vouchsafe_agent_up") == 1 and v("vouchsafe_lab") == 1'
[ "$(stat -c %a "$M")" = 644 ] || fail "mode $(stat -c %a "$M")"
gate
number "a grant is counted, its lease runs" "$A, result='granted') == 1 and 3000 < v('vouchsafe_lease_seconds_left', token='lab-vault') <= 3600"
number "and has a duration" 'v("vouchsafe_attestation_duration_seconds_count", token="lab-vault") == v("vouchsafe_attestation_duration_seconds_bucket", token="lab-vault", le="+Inf") == 1 and v("vouchsafe_attestation_duration_seconds_sum", token="lab-vault") > 0'
p11 --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS --label rsa2048 --input-file "$T/hook/refused" --output-file "$T/sig" >/dev/null 2>&1 || fail "the token does not sign"
number "a release is counted" 'v("vouchsafe_releases_total", token="lab-vault", result="granted") == 1'
find "$T" -name 'vouchsafe.prom.*' | grep . && fail "a part of the file was left"

# The whole file against the text format 0.0.4: families in one piece, HELP and TYPE before samples,
# no sample twice, buckets that grow up to +Inf, which is the count.
exposition() {
	python3 - "$M" <<-'EOF' || { cat "$M"; fail "not the text format"; }
		import re, sys
		text = open(sys.argv[1], encoding="utf-8").read()
		assert text.endswith("\n") and "\r" not in text and "\n\n" not in text
		NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
		kind, seen, order, histograms = {}, set(), [], {}
		for line in text.split("\n")[:-1]:
		    m = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
		    if m:
		        if m[1] == "HELP": assert m[2] not in order, line; order.append(m[2])
		        else:
		            assert order[-1] == m[2] and m[2] not in kind and m[3] in ("counter", "gauge", "histogram"), line
		            kind[m[2]] = m[3]
		        continue
		    m = re.fullmatch(rf"({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)\}})? (-?[0-9.]+(?:e[+-]?\d+)?|\+Inf|NaN)", line)
		    assert m, line
		    family = m[1] if m[1] in kind else re.sub("_(bucket|sum|count)$", "", m[1])
		    assert order[-1] == family and family in kind, "not in its family: " + line
		    assert (m[1] == family) == (kind[family] != "histogram"), line
		    assert kind[family] != "counter" or family.endswith("_total"), line
		    labels = tuple(sorted(re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', m[2] or "")))
		    assert (m[1], labels) not in seen, "twice: " + line
		    assert len({k for k, _ in labels}) == len(labels), line
		    seen.add((m[1], labels))
		    assert float(m[3]) >= 0, line
		    if kind[family] == "histogram":
		        h = histograms.setdefault((family, tuple(x for x in labels if x[0] != "le")), {"b": []})
		        if m[1].endswith("_bucket"): h["b"].append((float(dict(labels)["le"]), float(m[3])))
		        else: h[m[1][len(family) + 1:]] = float(m[3])
		assert len(histograms) >= 2
		for k, h in histograms.items():
		    assert [x for x, _ in h["b"]] == sorted({x for x, _ in h["b"]}) and h["b"][-1][0] == float("inf"), k
		    assert [y for _, y in h["b"]] == sorted(y for _, y in h["b"]) and h["b"][-1][1] == h["count"] and "sum" in h, k
	EOF
	if command -v promtool >/dev/null; then
		promtool check metrics <"$M" >"$T/promtool" 2>&1 || { cat "$T/promtool"; fail "promtool"; }
		ok "promtool: $1"
	fi
	ok "the text format: $1"
}
exposition "after a grant"

note "refusals"
[ ! -e "$T/hook/verdict" ] || fail "the program was run without a refusal"
kill -TERM "$AGENT_PID"; wait "$AGENT_PID" || true
number "the last word of an agent that ends" 'v("vouchsafe_agent_up") == 0 and v("vouchsafe_lease_seconds_left", token="lab-vault") == 0'
start_agent
"$LAB" fault maa token-expired --dir "$D" >/dev/null
gate
number "a refusal is counted by its check" "$A, result='refused') == 1 and v('vouchsafe_refusals_total', token='lab-vault', check='A11') >= 1"
exposition "after a refusal"
n=0
until [ -e "$T/hook/verdict" ]; do n=$((n + 1)); [ $n -lt 50 ] || fail "the program was not run"; sleep 0.1; done
python3 - "$T/hook/verdict" <<-'EOF' || fail "the verdict is not complete"
	import json, sys
	d = json.load(open(sys.argv[1]))
	assert d["event"] == "refused" and d["token"] == "lab-vault" and d["lab"] is True and d["kind"] == "need", d
	assert d["code"] == "REFUSED_CLAIMS" and d["number"] == 902 and "A11" in d["sentence"], d
	assert any(c["rule"] == "A11" and not c["passed"] for c in d["checks"]) and len(d["checks"]) > 5
EOF
[ "$(cat "$T/hook/arguments")" = 0 ] || fail "it had arguments"
grep -v -e '^PATH=/usr/sbin:/usr/bin:/sbin:/bin$' -e '^PWD=' -e '^SHLVL=' -e '^_=' -e '^OLDPWD=' "$T/hook/env" && fail "it had an environment"
ok "the program hears the verdict, without arguments and environment"

note "a program that hangs does not hold up anything"
: >"$T/hook/slow"
rm "$T/hook/verdict"
gate
until [ -e "$T/hook/verdict" ]; do sleep 0.1; done
gate
"$LAB" fault clear --dir "$D" >/dev/null
sleep 0.3
start=$(date +%s)
gate
grep -q 'lab-vault: granted' "$T/gate.out" || { cat "$T/gate.out"; fail "not granted while the program hangs"; }
[ $(($(date +%s) - start)) -le 4 ] || fail "the agent was held up"
ok "granted while the program hangs"
rm "$T/hook/slow"
n=0
until grep -q 'did not end within 10 s and was killed' "$T/agent.log"; do n=$((n + 1)); [ $n -lt 150 ] || fail "it was not killed"; sleep 0.1; done
ok "it is killed after 10 seconds"
"$LAB" tamper pcr 4 --dir "$D" >/dev/null
rm -f "$T/hook/verdict"
kill -TERM "$AGENT_PID"; wait "$AGENT_PID" || true
chmod o+w "$T/hook/refused"
start_agent
gate
n=0
until grep -q 'refusal-hook.*can be written by others' "$T/agent.log"; do n=$((n + 1)); [ $n -lt 50 ] || fail "no word about the program"; sleep 0.1; done
[ ! -e "$T/hook/verdict" ] || fail "a program that others can change was run"
ok "a program that others can change is not run"

note "status --watch"
timeout 3 "$VOUCHSAFE" status --watch --json --interval 500ms >"$T/watch" 2>/dev/null || true
python3 - "$T/watch" <<-'EOF' || fail "status --watch"
	import json, sys
	lines = [json.loads(l) for l in open(sys.argv[1])]
	assert len(lines) >= 3, len(lines)
	assert lines[-1]["tokens"][0]["agent"] and "PCR 4" in lines[-1]["tokens"][0]["last_sentence"], lines[-1]
EOF
ok "status --watch writes a line each time"
try cmd "$VOUCHSAFE" status --watch --interval 5
[ $RC = 2 ] || fail "an interval without unit"
ok "an interval without unit is refused"

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	note "rights of the service are not those of its hook"
	kill -TERM "$AGENT_PID"; wait "$AGENT_PID" || true
	chmod o-w "$T/hook/refused"
	sed -i 's,^env >.*,&\ngrep ^Cap /proc/self/status >'"$T"'/hook/caps,' "$T/hook/refused"
	rm -f "$T/hook/verdict"
	chown -R nobody "$T"
	# As its unit starts it: another user, one capability.
	cat >"$T/as-service" <<-'EOF'
		#!/bin/sh
		exec setpriv --reuid nobody --regid nogroup --clear-groups --bounding-set -all,+dac_read_search \
			--inh-caps -all,+dac_read_search --ambient-caps -all,+dac_read_search "$@"
	EOF
	chmod 755 "$T/as-service"
	"$T/as-service" grep ^CapEff: /proc/self/status | grep -q 0000000000000004 || fail "the agent would not have the right"
	"$T/as-service" "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$T/agent.log" &
	AGENT_PID=$!
	until_true 10 "$T/as-service" "$VOUCHSAFE" status --agent --json || fail "no agent with one capability"
	grep -q '^CapEff:.*0000000000000004' "/proc/$AGENT_PID/status" || fail "the agent lost its right"
	"$T/as-service" "$VOUCHSAFE" gate --lab --agent --timeout 20s --token lab-vault >"$T/gate.out" 2>&1 || true
	until_true 10 test -e "$T/hook/verdict" || { cat "$T/gate.out"; fail "the program was not run"; }
	for c in CapPrm CapEff CapAmb; do
		grep -q "^$c:.*0000000000000000" "$T/hook/caps" || { cat "$T/hook/caps"; fail "the program has $c of the agent"; }
	done
	ok "the agent may read what root may, the program that it runs may not"
fi
stop "$AGENT_PID"
AGENT_PID=
