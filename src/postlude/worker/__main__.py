"""One process of a worker: `python -m postlude.worker ORDERS STATUS LINE`, as its parent starts it."""

import sys

from postlude.worker.orders import Orders
from postlude.worker.parent import Parent
from postlude.worker.process import main

if __name__ == "__main__":
    text, status, line = sys.argv[1:]
    sys.exit(main(Orders.read(text), Parent(int(status), int(line))))
