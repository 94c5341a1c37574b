#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""conf/kubernetes: fields by kind and type, references that resolve, no right that is not needed, commands that exist."""
import json
import os
import subprocess
import sys

try:
    import yaml
except ImportError:
    if os.environ.get("CI"):
        sys.exit("python3-yaml is not installed")
    print("skipped: python3-yaml is not installed")
    sys.exit(77)

SRC, BUILD = os.environ["VS_SRCDIR"], os.environ["VS_BUILDDIR"]
BASE = SRC + "/conf/kubernetes/base/"
STR, INT, BOOL, LIST, MAP = str, int, bool, list, dict
# Every member that a kind may have, with its type; "!" in front: it must be there.
CONTEXT = {"runAsUser": INT, "runAsGroup": INT, "runAsNonRoot": BOOL, "!allowPrivilegeEscalation": BOOL,
           "!readOnlyRootFilesystem": BOOL, "!capabilities": {"!drop": LIST}, "seccompProfile": {"!type": STR}}
PROBE = {"!exec": {"!command": LIST}, "periodSeconds": INT, "failureThreshold": INT, "timeoutSeconds": INT}
MOUNT = {"!name": STR, "!mountPath": STR, "subPath": STR, "readOnly": BOOL}
CONTAINER = {"!name": STR, "!image": STR, "command": LIST, "args": LIST, "restartPolicy": STR, "!securityContext": CONTEXT,
             "!resources": {"!requests": MAP, "!limits": MAP}, "startupProbe": PROBE, "readinessProbe": PROBE,
             "!volumeMounts": [MOUNT]}
VOLUME = {"!name": STR, "emptyDir": {"medium": STR, "!sizeLimit": STR}, "configMap": {"!name": STR, "defaultMode": INT},
          "hostPath": {"!path": STR, "!type": STR}}
POD = {"!serviceAccountName": STR, "!automountServiceAccountToken": BOOL, "!nodeSelector": MAP,
       "!securityContext": {"!seccompProfile": {"!type": STR}}, "initContainers": [CONTAINER], "!containers": [CONTAINER],
       "!volumes": [VOLUME]}
META = {"!name": STR, "labels": MAP, "annotations": MAP}
KINDS = {
    ("apps/v1", "Deployment"): {"!metadata": META, "!spec": {"!replicas": INT, "!selector": {"!matchLabels": MAP},
                                "!template": {"!metadata": {"!labels": MAP}, "!spec": POD}}},
    ("v1", "ServiceAccount"): {"!metadata": META},
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"): {"!resources": LIST, "!configMapGenerator": [{"!name": STR, "!files": LIST}]},
}


def fits(value, schema, where):
    if isinstance(schema, type):
        if not isinstance(value, schema) or (schema is int and isinstance(value, bool)):
            yield f"{where}: {value!r} is no {schema.__name__}"
    elif isinstance(schema, list):
        if not isinstance(value, list) or not value:
            yield f"{where}: no list"
            return
        for i, v in enumerate(value):
            yield from fits(v, schema[0], f"{where}[{i}]")
    elif not isinstance(value, dict):
        yield f"{where}: no object"
    else:
        known = {k.lstrip("!"): (s, k[0] == "!") for k, s in schema.items()}
        for k, v in value.items():
            if k not in known:
                yield f"{where}.{k}: not known"
            else:
                yield from fits(v, known[k][0], f"{where}.{k}")
        for k, (_, must) in known.items():
            if must and k not in value:
                yield f"{where}.{k}: missing"


def check_document(doc, where):
    kind = (doc.get("apiVersion"), doc.get("kind"))
    if kind not in KINDS:
        yield f"{where}: {kind} is not known"
        return
    yield from fits({k: v for k, v in doc.items() if k not in ("apiVersion", "kind")}, KINDS[kind], where)


def check_pod(doc, accounts, maps):
    spec = doc["spec"]
    pod = spec["template"]["spec"]
    if spec["selector"]["matchLabels"].items() - spec["template"]["metadata"]["labels"].items():
        yield "the selector does not choose the pod"
    if pod["serviceAccountName"] not in accounts:
        yield "there is no such service account"
    volumes = {v["name"]: v for v in pod["volumes"]}
    for v in volumes.values():
        if "configMap" in v and v["configMap"]["name"] not in maps:
            yield f"{v['name']}: there is no such configMap"
    used = set()
    for c in pod["initContainers"] + pod["containers"]:
        s = c["securityContext"]
        if s["allowPrivilegeEscalation"] or not s["readOnlyRootFilesystem"] or s["capabilities"]["drop"] != ["ALL"]:
            yield f"{c['name']}: has rights that it does not need"
        if c["name"] != "vouchsafe-agent" and not s.get("runAsNonRoot"):
            yield f"{c['name']}: may be root"
        if c["name"] != "vouchsafe-agent" and (any("tpm" in k for k in c["resources"]["limits"]) or
                                              any(m["name"] in ("event-log", "state") for m in c["volumeMounts"])):
            yield f"{c['name']}: has the TPM, the event log or the agent's state"
        for m in c["volumeMounts"]:
            used.add(m["name"])
            if m["name"] not in volumes:
                yield f"{c['name']}: no volume {m['name']}"
            elif "configMap" in volumes[m["name"]] and m.get("subPath") not in maps[volumes[m["name"]]["configMap"]["name"]]:
                yield f"{c['name']}: {m['mountPath']}: a link or a file that does not exist"
        for probe in ("startupProbe", "readinessProbe"):
            if probe in c:
                yield from check_command(c[probe]["exec"]["command"])
        if c.get("command"):
            yield from check_command(c["command"])
    for name in set(volumes) - used:
        yield f"volume {name} is not used"
    order = [c["name"] for c in pod["initContainers"]]
    if order != ["vouchsafe-agent", "vouchsafe-gate"] or pod["initContainers"][0].get("restartPolicy") != "Always":
        yield "the agent has to be a sidecar that starts before the gate"


def check_command(words):
    """Its options stand in the program's own help."""
    text = subprocess.run([BUILD + "/vouchsafe", words[1], "--help"], capture_output=True, text=True).stdout
    for w in words[2:]:
        if w.startswith("--") and w not in text:
            yield f"{' '.join(words)}: no option {w}"
    if words[0] != "vouchsafe" or not text:
        yield f"{' '.join(words)}: no such command"


def load():
    docs = {}
    for name in sorted(os.listdir(BASE)):
        if name.endswith(".yaml"):
            for doc in yaml.safe_load_all(open(BASE + name, encoding="utf-8")):
                docs[name] = doc
    return docs


def check(docs):
    bad = [b for name, d in docs.items() for b in check_document(d, name)]
    if bad:
        return bad
    k = docs["kustomization.yaml"]
    if set(k["resources"]) != set(docs) - {"kustomization.yaml"}:
        bad.append("kustomization.yaml does not name all files")
    maps = {g["name"]: g["files"] for g in k["configMapGenerator"]}
    bad += [f"{f} is missing" for files in maps.values() for f in files if not os.path.exists(BASE + f)]
    accounts = {d["metadata"]["name"] for d in docs.values() if d["kind"] == "ServiceAccount"}
    return bad + list(check_pod(docs["deployment.yaml"], accounts, maps))


def broken_ones_are_found():
    """The check itself can fail: each of these has to be found."""
    def edit(f):
        docs = json.loads(json.dumps(load()))
        f(docs["deployment.yaml"]["spec"]["template"]["spec"])
        return check(docs)
    edits = [
        lambda p: p["containers"][0]["securityContext"].update(privileged=True),
        lambda p: p["containers"][0]["securityContext"].update(runAsNonRoot=False),
        lambda p: p["containers"][0]["volumeMounts"][0].update(name="nothing"),
        lambda p: p["containers"][0]["resources"]["limits"].update({"squat.ai/tpm": 1}),
        lambda p: p["initContainers"][0].pop("restartPolicy"),
        lambda p: p["initContainers"][1]["command"].append("--no-such-option"),
        lambda p: p["initContainers"][0]["volumeMounts"][2].pop("subPath"),
        lambda p: p["volumes"][0]["emptyDir"].update(sizeLimit=5),
        lambda p: p.update(serviceAccountName="other"),
        lambda p: p.pop("nodeSelector"),
    ]
    return [f"edit {i} is not found" for i, f in enumerate(edits) if not edit(f)]


bad = check(load()) + broken_ones_are_found()
r = subprocess.run([BUILD + "/vouchsafe", "conf", "check", BASE + "vouchsafe.conf"], capture_output=True, text=True)
if r.returncode != 0 and "policy" not in r.stderr:
    bad.append("vouchsafe.conf: " + r.stderr)
r = subprocess.run([BUILD + "/vouchsafe", "policy", "hash", BASE + "policy.json"], capture_output=True, text=True)
if r.returncode != 0:
    bad.append("policy.json: " + r.stderr)
print("\n".join(bad) or "the manifests are what they should be")
sys.exit(1 if bad else 0)
