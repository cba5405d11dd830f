# Runs a command in a pseudo-terminal: pseudo_terminal.py COLUMNS ROWS COMMAND [ARGUMENT ...]
# What the command writes goes to standard output as it is. Standard input has orders, one in a line:
#   resize COLUMNS ROWS | type HEX | signal NAME
# Ends with the exit code of the command, or 128 and the number of the signal that ended it.
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios


def set_size(descriptor, columns, rows):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


def obey(order, child, terminal):
    words = order.split()
    if words[0] == 'resize':
        set_size(terminal, int(words[1]), int(words[2]))
    elif words[0] == 'type':
        os.write(terminal, bytes.fromhex(words[1]))
    elif words[0] == 'signal':
        os.kill(child, getattr(signal, words[1]))
    else:
        raise ValueError(order)


def main():
    columns, rows, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    child, terminal = pty.fork()
    if child == 0:
        set_size(0, columns, rows)
        os.execvp(command[0], command)
    orders = b''
    sources = [terminal, 0]
    while True:
        for source in select.select(sources, [], [])[0]:
            try:
                data = os.read(source, 65536)
            except OSError:  # Linux says so when the last process has left the terminal.
                data = b''
            if source == terminal:
                if not data:
                    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                    sys.exit(status if status >= 0 else 128 - status)
                while data:
                    data = data[os.write(1, data):]
            elif not data:
                os.kill(child, signal.SIGKILL)
                sources.remove(0)
            else:
                orders += data
                while b'\n' in orders:
                    order, orders = orders.split(b'\n', 1)
                    obey(order.decode(), child, terminal)


main()
