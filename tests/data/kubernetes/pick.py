#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Out of a published OpenAPI document: some definitions and what they refer to, without texts and defaults.
usage: pick.py DOCUMENT DEFINITION... >FILE"""
import json
import sys

PREFIX = "#/components/schemas/"


def refers_to(x):
    if isinstance(x, dict):
        if "$ref" in x:
            yield x["$ref"][len(PREFIX):]
        x = list(x.values())
    if isinstance(x, list):
        for v in x:
            yield from refers_to(v)


def bare(x, names=False):
    """names: the members of x are names of properties, all of which stay."""
    if isinstance(x, list):
        return [bare(v) for v in x]
    if not isinstance(x, dict):
        return x
    return {k: bare(v, k == "properties" and not names) for k, v in x.items()
            if names or not (k in ("description", "default") or k.startswith("x-"))}


published = json.load(open(sys.argv[1], encoding="utf-8"))["components"]["schemas"]
todo, picked = sys.argv[2:], {}
while todo:
    name = todo.pop()
    if name not in picked:
        picked[name] = bare(published[name])
        todo += refers_to(picked[name])
print(json.dumps({"components": {"schemas": picked}}, indent=0, sort_keys=True, separators=(",", ":")))
