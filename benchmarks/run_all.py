"""Run every benchmark of this folder in a process of its own, one after the other (`make bench`).

Each prints ratios measured within its one run, so that a slow or busy machine shifts both sides alike.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Run them and give the number that failed."""
    scripts = sorted(set(Path(__file__).parent.glob("*.py")) - {Path(__file__)})
    failed = []
    for script in scripts:
        print(f"\n=== {script.name}", flush=True)
        start = time.perf_counter()
        if subprocess.run([sys.executable, str(script)], check=False).returncode:
            failed.append(script.name)
        print(f"--- {script.name}: {time.perf_counter() - start:.0f} s", flush=True)
    print(
        f"\n{len(scripts) - len(failed)} of {len(scripts)} benchmarks ran"
        + (f"; failed: {failed}" if failed else "")
    )
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
