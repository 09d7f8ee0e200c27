"""Look up known vulnerabilities of what is installed here; exit status 1 if there are any, or if nothing can be known.

``pip-audit`` ends well where its database does not know a single package, as behind a mirror: that is no clean audit.
"""

from __future__ import annotations

import json
import subprocess
import sys

OWN = "fairbench-harness"
NO_DATABASE = (
    "the database of known vulnerabilities cannot be reached from here, so nothing was audited; run this where there "
    "is a connection to it"
)


def main() -> int:
    """Run pip-audit on this environment, and say what it found."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--format", "json", "--progress-spinner", "off"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a command of our own
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except ValueError:  # what it prints is no report
        print(([line for line in ran.stderr.splitlines() if line.strip()] or [""])[-1], file=sys.stderr)
        print(f"audit: {NO_DATABASE}", file=sys.stderr)
        return 1
    known = [package for package in packages if package["name"] != OWN]
    skipped = [package for package in known if "skip_reason" in package]
    if len(skipped) == len(known):
        print(f"audit: {NO_DATABASE}", file=sys.stderr)
        return 1
    for package in skipped:
        print(f"audit: {package['name']}: {package['skip_reason']}", file=sys.stderr)
    hurt = [package for package in known if package.get("vulns")]
    for package in hurt:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, mended in {fixed}")
    print(f"packages: {len(known)}; with known vulnerabilities: {len(hurt)}; not audited: {len(skipped)}")
    return 1 if hurt or skipped else 0


if __name__ == "__main__":
    sys.exit(main())
