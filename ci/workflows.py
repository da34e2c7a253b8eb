"""usage: ci/workflows.py WORKFLOW CARGO_TOML RUN

Fails if a job of the workflow, or the whole workflow, could pass although a step did not run or did not succeed; if an action is
not pinned by commit; if a job may do more than read; if the oldest Rust is not that of Cargo.toml; and if no job runs a
script that RUN contains.
"""

import re
import sys

import yaml

DECISION = "decision"
VERDICT = """'length > 0 and all(.[]; .result == "success")'"""
# A shell that stops at the first failure: GitHub's own, and that of the virtual machines (sh -e).
SHELLS = (None, "cpa.sh {0} --sync-files none")


def faults(workflow, manifest, run):
    jobs = workflow["jobs"]
    decision = jobs[DECISION]
    if workflow.get("permissions") != {}:
        yield "the workflow gives permissions to every job"
    if decision.get("if") != "always()":
        yield f"{DECISION} is skipped when a job fails, and skipped passes for success"
    if VERDICT not in decision["steps"][-1]["run"]:
        yield f"{DECISION} does not ask for success of all that it needs"
    missing = set(jobs) - set(decision["needs"]) - {DECISION}
    if missing:
        yield f"{DECISION} does not need {', '.join(sorted(missing))}"
    for name, job in jobs.items():
        if job.get("permissions") not in ({}, {"contents": "read"}):
            yield f"{name}: permissions: {job.get('permissions')}"
        if name != DECISION and "if" in job:
            yield f"{name}: has a condition"
        if "timeout-minutes" not in job:
            yield f"{name}: has no timeout"
        for part in [job, *job["steps"]]:
            if "continue-on-error" in part:
                yield f"{name}: goes on after an error"
        if name != DECISION and not scripts(job):
            yield f"{name}: runs no script of ci"
        for step in job["steps"]:
            if "if" in step:
                yield f"{name}: a step has a condition"
            if "||" in step.get("run", "") or step.get("shell") not in SHELLS:
                yield f"{name}: a step may hide that it failed: {step['run']}"
            if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40)):
                yield f"{name}: not pinned by commit: {step['uses']}"
    unjudged = set(re.findall(r"^ci/\S+", run, re.MULTILINE)).difference(*map(scripts, jobs.values()))
    if unjudged:
        yield f"no job runs {', '.join(sorted(unjudged))}"
    oldest = re.search(r'^rust-version = "(.*)"', manifest, re.MULTILINE).group(1)
    if oldest not in jobs["linux"]["strategy"]["matrix"]["rust"]:
        yield f"linux: does not try Rust {oldest}, which Cargo.toml promises"


def scripts(job):
    return {name for step in job["steps"] for name in re.findall(r"\bci/[\w-]+\.sh", step.get("run", ""))}


def main():
    workflow, manifest, run = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
    found = list(faults(yaml.safe_load(workflow), manifest, run))
    print("\n".join(found))
    sys.exit(bool(found))


main()
