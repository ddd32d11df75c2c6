"""The shop's workers: `postlude worker` and `postlude celery worker`, which end with the supervisor."""

import sys
import threading

from demo.server import outlive_nobody
from postlude.cli import main

if __name__ == "__main__":
    threading.Thread(target=outlive_nobody, daemon=True).start()
    sys.argv[0] = "postlude"
    main()
