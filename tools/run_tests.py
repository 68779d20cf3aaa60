"""Runs groups of tests (tools/test_groups.py), two at a time where nothing is measured, and adds up their counts.

  run_tests.py                 every group
  run_tests.py quick           those that need neither another compiler nor another environment, less of each
  run_tests.py pca gemm        the named groups
  run_tests.py gemm:tiles      the tests of a group whose names contain a word
  run_tests.py --long [...]    with the long counts: every allocation, a thousand kills
  run_tests.py --list          the names of the groups

Prints each group's output when it ends, then the time of each group and the slowest tests. The last line is
"N passed, N failed, N skipped".
"""

import json
import os
import signal
import sys
import threading
import time

from test_groups import BUILD, GROUP_SECONDS_MAX, NOT_QUICK, WAITING, Job, groups, run_group

SLOTS = max(1, min(2, os.cpu_count() or 1))  # more would only compete: most tests use two threads themselves
SLOWEST = 12
TIMES = BUILD / "test-times.json"  # of earlier runs: the longest groups start first, so that no core idles at the end
UNKNOWN_SECONDS = {
    "spark": 500,
    "spark_connect": 250,
    "emr": 400,
    "sanitize": 390,
    "neon": 380,
    "notebooks": 300,
    "tsan": 300,
    "keras": 270,
    "torch": 200,
    "clang": 120,
    "wheel": 110,
    "models": 100,
    "net": 100,
    "http": 85,
    "pca": 60,
    "sources": 50,
}


def earlier_times():
    try:
        return json.loads(TIMES.read_text())
    except (OSError, ValueError):
        return {}


class Schedule:
    """Gives each slot the next job. Those that mostly wait have a slot of their own, in which they do so one by one."""

    def __init__(self, jobs):
        known = earlier_times()
        jobs.sort(key=lambda job: -known.get(job.name, UNKNOWN_SECONDS.get(job.name, 10)))
        self.together = [job for job in jobs if job.name not in WAITING]
        self.waiting = [job for job in jobs if job.name in WAITING]
        self.lock = threading.Lock()
        self.running = []

    def slot(self, queue):
        while True:
            with self.lock:
                if not queue:
                    return
                job = queue.pop(0)
                self.running.append(job)
                if not job.live:
                    print(f"... {job.name} started", flush=True)
            timer = threading.Timer(GROUP_SECONDS_MAX, job.stop)
            timer.start()
            try:
                run_group(job)
            except Exception as error:  # of this runner: the other groups go on
                job.say(f"{type(error).__name__}: {error}")
                job.add(0, 1, 0)
            timer.cancel()
            with self.lock:
                self.running.remove(job)
                if not job.live:
                    print(f"--- {job.name}", flush=True)
                    print("".join(job.output), end="", flush=True)
                if job.stopped:
                    print(f"{job.name} was stopped after {GROUP_SECONDS_MAX} seconds", flush=True)

    def run(self):
        queues = [self.waiting] + [self.together] * SLOTS
        threads = [threading.Thread(target=self.slot, args=(queue,), daemon=True) for queue in queues]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # so that Ctrl-C gets through
                thread.join(0.5)

    def stop(self):
        for job in list(self.running):
            job.stop()


def report(jobs, seconds):
    print("--- time of each group, and of the processor")
    for job in sorted(jobs, key=lambda job: -job.seconds):
        print(f"{job.seconds:8.1f} s {job.cpu_seconds:8.1f} s  {job.name}")
    times = sorted((entry for job in jobs for entry in job.times), reverse=True)
    if times:
        print("--- slowest tests")
        for took, name in times[:SLOWEST]:
            print(f"{took:8.1f} s  {name}")
    print(f"{seconds:.0f} seconds, {sum(job.cpu_seconds for job in jobs):.0f} of the processor")


def choose(names):
    """The jobs that `names` ask for; exits with 2 on an unknown one."""
    known = groups()
    if not names:
        return [Job(name) for name in known]
    jobs = {}
    for name in names:
        if name == "quick":
            wanted = [(group, "") for group in known if group not in NOT_QUICK]
        else:
            group, _, only = name.partition(":")
            wanted = [(group, only)]
        for group, only in wanted:
            if group not in known:
                print(f"no such test: {group}; available: quick, {', '.join(known)}", file=sys.stderr)
                sys.exit(2)
            jobs[group, only] = Job(group, only)
    return list(jobs.values())


def main(names):
    if "--list" in names:
        print("\n".join(groups()))
        return 0
    if "--long" in names:
        os.environ["COULIS_TEST_LONG"] = "1"
        names = [name for name in names if name != "--long"]
    if "quick" in names:
        os.environ["COULIS_TEST_QUICK"] = "1"
    jobs = choose(names)
    # A shell's background jobs ignore Ctrl-C, and what they start would too; some tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if len(jobs) == 1:
        jobs[0].live = True
    began = time.monotonic()
    schedule = Schedule(jobs)
    try:
        schedule.run()
    except KeyboardInterrupt:
        schedule.stop()
        print("interrupted", flush=True)
        return 130
    report(jobs, time.monotonic() - began)
    if not any(job.only for job in jobs):
        TIMES.write_text(json.dumps({**earlier_times(), **{job.name: round(job.seconds, 1) for job in jobs}}))
    passed, failed, skipped = (sum(getattr(job, what) for job in jobs) for what in ("passed", "failed", "skipped"))
    bad = [job.name for job in jobs if job.failed]
    if bad:
        print(f"failed: {', '.join(sorted(set(bad)))}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
