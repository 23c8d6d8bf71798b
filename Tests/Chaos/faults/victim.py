"""A client that is killed: opens connections, brings them into a phase, says so and sleeps.

    python -m faults.victim ADDRESS PHASE COUNT
"""

import sys
import time

from faults.target import connect, null_frame


def main():
    address, phase, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sockets = []
    for _ in range(count):
        socket = connect(address)
        sockets.append(socket)
        if phase == "half a frame":
            call = null_frame(request_bytes=10_000)
            socket.sendall(call[:len(call) // 2])
        elif phase == "a call unanswered":
            socket.sendall(null_frame())
        elif phase == "half an answer read":
            socket.sendall(null_frame(response_bytes=1_000_000))
            left = 500_000
            while left > 0:
                left -= len(socket.recv(min(left, 65_536)))
    print("ready", flush=True)
    time.sleep(600)


main()
