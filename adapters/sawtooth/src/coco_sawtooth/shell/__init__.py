"""The only room of this adapter that touches the world: sockets, threads, time."""
