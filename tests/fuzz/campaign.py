#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs fuzz targets until each has had its share of processor time, a minute at a time.

usage: campaign.py [--seconds N] [--jobs N] [--rate N] [--until HH:MM] [--only NAME,...] [--with-earlier]
           FOLDER PROGRAMS
       campaign.py --report FOLDER

Runs fuzz_NAME in the folder PROGRAMS for every row NAME of the table `targets` beside this script.
FOLDER keeps the corpus, the logs, the inputs that ended a program, and state.json: a campaign that
was stopped goes on where it was. A program that changed since is counted anew, unless --with-earlier
lets the time of earlier builds count, too; the inputs that they found are all run again. Fails when an
input ended a program, or when a target is slower than RATE executions for each second of processor
time.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SLICE_S = 60
DONE = re.compile(rb"^#(\d+)\s+\w+.*cov: (\d+) ft: (\d+) corp: (\d+)", re.M)
RUNS = re.compile(rb"^stat::number_of_executed_units:\s*(\d+)", re.M)
OPTIONS = ["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-reload=0", "-detect_leaks=1"]


class Target:
	def __init__(self, row, folder, programs):
		self.name, longest, *seeds = row.split()
		self.program = programs / ("fuzz_" + self.name)
		self.max = int(longest)
		self.seeds = [HERE / "seeds" / self.name, *(HERE.parent.parent / s for s in seeds)]
		self.corpus = folder / "corpus" / self.name
		self.found = folder / "found" / self.name
		self.log = folder / "log" / (self.name + ".log")
		self.digest = self.measure(programs)

	def measure(self, programs):
		"""Of the program, and of the module that it loads, if it does."""
		loaded = programs / ".libs" / (self.name + "-pkcs11.so")
		parts = [p.read_bytes() for p in (self.program, loaded) if p.exists() or p == self.program]
		return hashlib.sha256(b"".join(parts)).hexdigest()

	def prepare(self):
		for d in (self.corpus, self.found, self.log.parent):
			d.mkdir(parents=True, exist_ok=True)
		for root in self.seeds:
			for f in [root] if root.is_file() else root.rglob("*"):
				data = f.read_bytes()[:self.max] if f.is_file() else b""
				if data:
					(self.corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)

	def run(self, seconds):
		"""One slice: executions, processor time, coverage, whether it ended well."""
		command = [self.program, *OPTIONS, f"-max_len={self.max}", f"-max_total_time={seconds}",
			f"-artifact_prefix={self.found}/", str(self.corpus)]
		start = self.log.stat().st_size if self.log.exists() else 0
		with self.log.open("ab") as log:
			child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
			_, status, used = os.wait4(child.pid, 0)
			child.returncode = os.waitstatus_to_exitcode(status)
		with self.log.open("rb") as log:
			log.seek(start)
			text = log.read()
		runs = RUNS.search(text)
		last = DONE.findall(text)
		return {"runs": int(runs[1]) if runs else int(last[-1][0]) if last else 0,
			"cpu": used.ru_utime + used.ru_stime, "cov": int(last[-1][1]) if last else 0,
			"ft": int(last[-1][2]) if last else 0, "good": child.returncode == 0}


class Campaign:
	def __init__(self, folder, seconds=0, with_earlier=False):
		self.folder, self.seconds, self.with_earlier = folder, seconds, with_earlier
		self.lock = threading.Lock()
		self.path = folder / "state.json"
		self.state = json.loads(self.path.read_text()) if self.path.exists() else {}

	def add(self, target, got):
		with self.lock:
			s = self.state.get(target.name)
			if s is None or s["digest"] != target.digest:
				earlier = s.get("earlier", 0.0) + s["cpu"] if s else 0.0
				s = {"digest": target.digest, "runs": 0, "cpu": 0.0, "cov": 0, "ft": 0, "earlier": earlier}
			for k in ("runs", "cpu"):
				s[k] += got[k]
			s["cov"], s["ft"] = max(s["cov"], got["cov"]), max(s["ft"], got["ft"])
			s["good"] = got["good"]
			s["found"] = sorted(f.name for f in target.found.iterdir())
			self.state[target.name] = s
			new = self.path.with_suffix(".new")
			new.write_text(json.dumps(self.state, indent="\t", sort_keys=True))
			new.replace(self.path)

	def spent(self, target):
		s = self.state.get(target.name)
		if not s:
			return 0.0
		same = s["digest"] == target.digest
		return (s["cpu"] if same or self.with_earlier else 0.0) + (s.get("earlier", 0.0) if self.with_earlier else 0.0)

	def next(self, targets, busy):
		"""The one with the least time so far, so that all are known to live before one is done."""
		with self.lock:
			left = [t for t in targets if t.name not in busy and self.spent(t) < self.seconds]
			if not left:
				return None
			best = min(left, key=self.spent)
			busy.add(best.name)
			return best

	def report(self, rate):
		print(f"{'target':12}{'executions':>13}{'per CPU s':>11}{'CPU min':>9}{'earlier':>9}{'edges':>8}{'features':>10}  found")
		good = True
		for name, s in sorted(self.state.items()):
			per = s["runs"] / s["cpu"] if s["cpu"] else 0
			slow = "  slow" if per < rate else ""
			good = good and not s["found"] and not slow and s["good"]
			print(f"{name:12}{s['runs']:13}{per:11.0f}{s['cpu'] / 60:9.1f}{s.get('earlier', 0.0) / 60:9.1f}{s['cov']:8}{s['ft']:10}  {len(s['found'])}{slow}")
		return good


def work(campaign, targets, busy, until):
	broken = set()
	while until is None or time.time() < until:
		t = campaign.next(targets, busy)
		if t is None:
			return
		left = max(5, int(campaign.seconds - campaign.spent(t)) + 1)
		got = t.run(min(SLICE_S, left, max(5, int(until - time.time())) if until else SLICE_S))
		campaign.add(t, got)
		if not got["good"]:
			broken.add(t.name)
			print(f"{t.name}: ended badly, see {t.log}", flush=True)
		with campaign.lock:
			# One that ended badly is left alone; its input is in FOLDER/found.
			if got["good"]:
				busy.discard(t.name)


def clock(text):
	now = datetime.datetime.now()
	at = now.replace(hour=int(text[:2]), minute=int(text[3:]), second=0)
	return (at if at > now else at + datetime.timedelta(days=1)).timestamp()


def main():
	p = argparse.ArgumentParser()
	p.add_argument("--seconds", type=int, default=600)
	p.add_argument("--jobs", type=int, default=2)
	p.add_argument("--rate", type=int, default=1000)
	p.add_argument("--until", type=clock)
	p.add_argument("--with-earlier", action="store_true")
	p.add_argument("--report", action="store_true")
	p.add_argument("--only", default="")
	p.add_argument("folder", type=pathlib.Path)
	p.add_argument("programs", nargs="?", type=lambda text: pathlib.Path(text).resolve())
	a = p.parse_args()
	campaign = Campaign(a.folder, a.seconds, a.with_earlier)
	if not a.report:
		if a.programs is None:
			p.error("PROGRAMS is missing")
		rows = [r for r in (HERE / "targets").read_text().splitlines() if r and not r.startswith("#")]
		targets = [Target(r, a.folder, a.programs) for r in rows if not a.only or r.split()[0] in a.only.split(",")]
		for t in targets:
			t.prepare()
		busy = set()
		crew = [threading.Thread(target=work, args=(campaign, targets, busy, a.until)) for _ in range(a.jobs)]
		for c in crew:
			c.start()
		for c in crew:
			c.join()
	return 0 if campaign.report(a.rate) else 1


if __name__ == "__main__":
	sys.exit(main())
