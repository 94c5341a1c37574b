#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""conf/kubernetes: valid by Kubernetes' own schema (tests/data/kubernetes) and nothing besides it, references that resolve,
no right that is not needed, commands that exist."""
import json
import os
import subprocess
import sys

try:
    import jsonschema
    import yaml
except ImportError as e:
    if os.environ.get("CI"):
        sys.exit(f"{e}: install python3-yaml and python3-jsonschema")
    print(f"skipped: {e}: install python3-yaml and python3-jsonschema")
    sys.exit(77)

SRC, BUILD = os.environ["VS_SRCDIR"], os.environ["VS_BUILDDIR"]
BASE, SCHEMAS = SRC + "/conf/kubernetes/base/", SRC + "/tests/data/kubernetes/"
KINDS = {
    ("apps/v1", "Deployment"): ("apps-v1.json", "io.k8s.api.apps.v1.Deployment"),
    ("v1", "ServiceAccount"): ("core-v1.json", "io.k8s.api.core.v1.ServiceAccount"),
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"): ("kustomization.json", "Kustomization"),
}
# What the schema leaves to the author and this project does not.
POD_HAS = ("serviceAccountName", "nodeSelector", "securityContext.seccompProfile.type")
CONTAINER_HAS = ("image", "resources.requests", "resources.limits", "volumeMounts", "securityContext.capabilities.drop",
                 "securityContext.allowPrivilegeEscalation", "securityContext.readOnlyRootFilesystem")


class Unique(yaml.SafeLoader):
    """A member that stands twice is an error, as it is for Kubernetes' strict decoding."""

    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(k) for k, _ in node.value]
        for n in names:
            if names.count(n) > 1:
                raise yaml.YAMLError(f"{n} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def strict(x):
    """Objects have the members that the schema names and no others; names of maps stay free."""
    if isinstance(x, list):
        return [strict(v) for v in x]
    if not isinstance(x, dict):
        return x
    out = {k: {n: strict(p) for n, p in v.items()} if k == "properties" else strict(v) for k, v in x.items()}
    if "properties" in x:
        out["additionalProperties"] = False
    return out


def schema_of(file, name):
    out = strict(json.load(open(SCHEMAS + file, encoding="utf-8")))
    out["$ref"] = "#/components/schemas/" + name
    return jsonschema.Draft7Validator(out)


VALIDATORS = {kind: schema_of(*where) for kind, where in KINDS.items()}


def check_document(doc, where):
    kind = (doc.get("apiVersion"), doc.get("kind"))
    if kind not in VALIDATORS:
        yield f"{where}: {kind} is not known"
        return
    for e in VALIDATORS[kind].iter_errors(doc):
        yield f"{where}: {e.json_path[2:]}: {e.message}"
    if not isinstance(doc.get("metadata", {}).get("name"), str) and kind[1] != "Kustomization":
        yield f"{where}: it has no name"


def lacks(o, paths, where):
    for path in paths:
        at = o
        for name in path.split("."):
            at = at.get(name) if isinstance(at, dict) else None
        if at is None:
            yield f"{where}: {path} is missing"


def check_required(pod):
    yield from lacks(pod, POD_HAS, "the pod")
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod: automountServiceAccountToken is not false"
    for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if pod.get(name):
            yield f"the pod: {name}"
    for c in pod.get("initContainers", []) + pod["containers"]:
        yield from lacks(c, CONTAINER_HAS, c["name"])
        if c.get("securityContext", {}).get("privileged"):
            yield f"{c['name']}: is privileged"
        if c.get("securityContext", {}).get("capabilities", {}).get("add"):
            yield f"{c['name']}: has capabilities"
    for v in pod.get("volumes", []):
        path = v.get("hostPath", {}).get("path")
        if path not in (None, "/sys/kernel/security/tpm0/binary_bios_measurements"):
            yield f"volume {v['name']}: {path} of the host is not needed"


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
            docs[name] = yaml.load(open(BASE + name, encoding="utf-8"), Unique)
    return docs


def check(docs):
    bad = [b for name, d in docs.items() for b in check_document(d, name)]
    bad += [] if bad else check_required(docs["deployment.yaml"]["spec"]["template"]["spec"])
    if bad:
        return bad
    k = docs["kustomization.yaml"]
    if set(k["resources"]) != set(docs) - {"kustomization.yaml"}:
        bad.append("kustomization.yaml does not name all files")
    maps = {g["name"]: g["files"] for g in k["configMapGenerator"]}
    bad += [f"{f} is missing" for files in maps.values() for f in files if not os.path.exists(BASE + f)]
    accounts = {d["metadata"]["name"] for d in docs.values() if d["kind"] == "ServiceAccount"}
    return bad + list(check_pod(docs["deployment.yaml"], accounts, maps))


# What would be wrong, and what has to be said of it: the check itself can fail.
POD_EDITS = [
    # misspelt, or at home elsewhere
    (lambda p: p["containers"][0].update(imagePullPolcy="Always"), "imagePullPolcy"),
    (lambda p: p["containers"][0]["securityContext"].update(runAsNonroot=True), "runAsNonroot"),
    (lambda p: p["containers"][0]["readinessProbe"].update(period=5), "period"),
    (lambda p: p["volumes"][0]["emptyDir"].update(sizelimit="1Mi"), "sizelimit"),
    (lambda p: p["containers"][0].update(seccompProfile={"type": "RuntimeDefault"}), "seccompProfile"),
    (lambda p: p.update(nodeselector={}), "nodeselector"),
    # of another type
    (lambda p: p["initContainers"][0].update(args="one string"), "'one string' is not of type 'array'"),
    (lambda p: p["containers"][0]["securityContext"].update(runAsUser="10001"), "'10001' is not of type 'integer'"),
    (lambda p: p["containers"][0]["securityContext"].update(readOnlyRootFilesystem="true"), "'true' is not of type 'boolean'"),
    (lambda p: p["volumes"][0]["emptyDir"].update(sizeLimit=["1Mi"]), "['1Mi'] is not valid"),
    (lambda p: p.update(nodeSelector={"a": True}), "True is not of type 'string'"),
    (lambda p: p.update(containers={}), "{} is not of type 'array'"),
    (lambda p: p["containers"][0].update(image=None), "None is not of type 'string'"),
    # not there
    (lambda p: p.pop("containers"), "'containers' is a required property"),
    (lambda p: p["containers"][0].pop("name"), "'name' is a required property"),
    (lambda p: p["containers"][0]["volumeMounts"][0].pop("mountPath"), "'mountPath' is a required property"),
    (lambda p: p["volumes"][3]["hostPath"].pop("path"), "'path' is a required property"),
    (lambda p: p["securityContext"]["seccompProfile"].pop("type"), "'type' is a required property"),
    # right by the schema and wrong here
    (lambda p: p.pop("nodeSelector"), "nodeSelector is missing"),
    (lambda p: p.pop("automountServiceAccountToken"), "automountServiceAccountToken is not false"),
    (lambda p: p.update(hostNetwork=True), "hostNetwork"),
    (lambda p: p["containers"][0].pop("resources"), "resources.limits is missing"),
    (lambda p: p["containers"][0]["securityContext"].pop("capabilities"), "capabilities.drop is missing"),
    (lambda p: p["initContainers"][0]["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]), "has capabilities"),
    (lambda p: p["containers"][0]["securityContext"].update(privileged=True), "is privileged"),
    (lambda p: p["containers"][0]["securityContext"].update(runAsNonRoot=False), "may be root"),
    (lambda p: p["volumes"][3]["hostPath"].update(path="/dev"), "/dev of the host is not needed"),
    (lambda p: p["containers"][0]["volumeMounts"][0].update(name="nothing"), "no volume nothing"),
    (lambda p: p["containers"][0]["resources"]["limits"].update({"squat.ai/tpm": 1}), "has the TPM"),
    (lambda p: p["initContainers"][0].pop("restartPolicy"), "sidecar"),
    (lambda p: p["initContainers"][1]["command"].append("--no-such-option"), "no option --no-such-option"),
    (lambda p: p["initContainers"][0]["volumeMounts"][2].pop("subPath"), "a link or a file that does not exist"),
    (lambda p: p.update(serviceAccountName="other"), "no such service account"),
]
FILE_EDITS = [
    ("deployment.yaml", lambda d: d["spec"].pop("selector"), "'selector' is a required property"),
    ("deployment.yaml", lambda d: d["spec"].update(replicas="1"), "'1' is not of type 'integer'"),
    ("deployment.yaml", lambda d: d["metadata"].update(label={}), "label"),
    ("deployment.yaml", lambda d: d.update(apiVersion="apps/v1beta1"), "is not known"),
    ("serviceaccount.yaml", lambda d: d.update(automountServiceAccountTokens=False), "automountServiceAccountTokens"),
    ("serviceaccount.yaml", lambda d: d["metadata"].pop("name"), "no name"),
    ("serviceaccount.yaml", lambda d: d["metadata"]["annotations"].update(a=7), "7 is not of type 'string'"),
    ("kustomization.yaml", lambda d: d.update(ressources=[]), "ressources"),
    ("kustomization.yaml", lambda d: d["configMapGenerator"][0].pop("name"), "'name' is a required property"),
    ("kustomization.yaml", lambda d: d.update(resources="deployment.yaml"), "is not of type 'array'"),
    ("kustomization.yaml", lambda d: d["resources"].pop(), "does not name all files"),
]


def broken_ones_are_found():
    edits = [("deployment.yaml", lambda d, f=f: f(d["spec"]["template"]["spec"]), says) for f, says in POD_EDITS]
    for i, (name, edit, says) in enumerate(edits + FILE_EDITS):
        docs = json.loads(json.dumps(load()))
        edit(docs[name])
        found = check(docs)
        if not any(says in f for f in found):
            yield f"edit {i} of {name}: expected '{says}', seen {found}"
    try:
        yaml.load("a: 1\nb: {c: 1, c: 2}\n", Unique)
        yield "a member that stands twice is not found"
    except yaml.YAMLError:
        pass


bad = check(load())
bad += [] if bad else broken_ones_are_found()
r = subprocess.run([BUILD + "/vouchsafe", "conf", "check", BASE + "vouchsafe.conf"], capture_output=True, text=True)
if r.returncode != 0 and "policy" not in r.stderr:
    bad.append("vouchsafe.conf: " + r.stderr)
r = subprocess.run([BUILD + "/vouchsafe", "policy", "hash", BASE + "policy.json"], capture_output=True, text=True)
if r.returncode != 0:
    bad.append("policy.json: " + r.stderr)
print("\n".join(bad) or f"the manifests are what they should be; {len(POD_EDITS) + len(FILE_EDITS)} broken ones are refused")
sys.exit(1 if bad else 0)
