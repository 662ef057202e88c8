package coco.corda.service;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarFile;

/**
 * The worker: a process that runs the contract code of Corda transactions for one trust domain.
 *
 * <p>It is told everything by arguments and by requests, writes no file but its socket, and ends when its standard input
 * does, which is when whoever started it is gone. Contracts run in it unconfined, so it is given nothing it could betray.
 */
public final class Main {
    /** When the heap is exhausted; the same as -XX:+ExitOnOutOfMemoryError. */
    static final int EXIT_EXHAUSTED = 3;
    static final int EXIT_USAGE = 2;
    /** This JVM is not one that Corda runs on as it is started: no verdict of its would be worth anything. */
    static final int EXIT_UNFIT = 4;
    static final String CORDA_VERSION = manifestEntry("Corda-Release-Version");
    private static final String USAGE = """
            usage: java -jar coco-corda-service-worker.jar (--socket PATH | --loopback)
                   [--threads N] [--queued-requests N] [--frame-bytes N]
            """;

    private Main() {}

    /** Prints one line once connections are taken: "ready PATH", or "ready HOST:PORT" of the loopback. */
    public static void main(String[] arguments) throws IOException {
        Path socket = null;
        Limits limits = Limits.DEFAULT;
        boolean loopback = false;
        try {
            for (int index = 0; index < arguments.length; index++) {
                switch (arguments[index]) {
                    case "--loopback" -> loopback = true;
                    case "--socket" -> socket = Path.of(arguments[++index]);
                    case "--threads" -> limits = new Limits(
                            Integer.parseInt(arguments[++index]), limits.queuedRequests(), limits.frameBytes());
                    case "--queued-requests" -> limits = new Limits(
                            limits.threads(), Integer.parseInt(arguments[++index]), limits.frameBytes());
                    case "--frame-bytes" -> limits = new Limits(
                            limits.threads(), limits.queuedRequests(), Integer.parseInt(arguments[++index]));
                    default -> throw new IllegalArgumentException("unknown argument: " + arguments[index]);
                }
            }
            if (loopback == (socket != null)) {
                throw new IllegalArgumentException("one of --socket and --loopback must be said");
            }
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException error) {
            System.err.println(error.getMessage() + "\n" + USAGE);
            System.exit(EXIT_USAGE);
        }
        serve(socket, limits);
    }

    private static void serve(Path socket, Limits limits) throws IOException {
        InputStream standardInput = System.in;
        PrintStream standardOutput = System.out;
        PrintStream standardError = System.err;
        // A contract that prints writes what it knows into somebody's log.
        System.setIn(InputStream.nullInputStream());
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));

        Operations operations = start(limits, standardError);
        ServerSocketChannel server = listen(socket);
        daemon("until-input-ends", () -> waitForEnd(standardInput));
        standardOutput.println("ready " + (socket == null ? address(server) : socket));
        standardOutput.flush();
        accept(server, operations, limits);
    }

    private static Operations start(Limits limits, PrintStream standardError) {
        try {
            return new Operations(limits);
        } catch (IllegalStateException | LinkageError unfit) {
            standardError.println("Corda does not run on this JVM: " + unfit);
            System.exit(EXIT_UNFIT);
            throw unfit;
        }
    }

    private static ServerSocketChannel listen(Path socket) throws IOException {
        if (socket == null) {
            return ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        }
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                Files.deleteIfExists(socket);
            } catch (IOException left) {
                // Whoever started the worker removes the folder.
            }
        }));
        return server;
    }

    private static String address(ServerSocketChannel server) throws IOException {
        InetSocketAddress address = (InetSocketAddress) server.getLocalAddress();
        return address.getAddress().getHostAddress() + ":" + address.getPort();
    }

    private static void accept(ServerSocketChannel server, Operations operations, Limits limits) throws IOException {
        ExecutorService workers = new ThreadPoolExecutor(limits.threads(), limits.threads(), 0, TimeUnit.SECONDS,
                new ArrayBlockingQueue<>(limits.queuedRequests()));
        Semaphore connections = new Semaphore(Limits.CONNECTIONS);
        while (true) {
            SocketChannel channel = server.accept();
            if (!connections.tryAcquire()) {
                channel.close();
                continue;
            }
            Connection connection = new Connection(channel, operations, workers, limits);
            daemon("connection", () -> {
                try {
                    connection.run();
                } finally {
                    connections.release();
                }
            });
        }
    }

    private static void waitForEnd(InputStream input) {
        try {
            while (input.read() >= 0) {
                // Nothing is said here; only the end counts.
            }
        } catch (IOException gone) {
            // As its end.
        }
        // A contract may have left a hook that never returns.
        daemon("end", () -> {
            try {
                Thread.sleep(Limits.EXIT_MS);
            } catch (InterruptedException now) {
                // Then now.
            }
            Runtime.getRuntime().halt(0);
        });
        System.exit(0);
    }

    static void halt() {
        Runtime.getRuntime().halt(EXIT_EXHAUSTED);
    }

    private static void daemon(String name, Runnable task) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.start();
    }

    private static String manifestEntry(String name) {
        URI location = URI.create(Main.class.getProtectionDomain().getCodeSource().getLocation().toString());
        try (JarFile jar = new JarFile(Path.of(location).toFile())) {
            return jar.getManifest().getMainAttributes().getValue(name);
        } catch (IOException notJar) {
            return null;
        }
    }
}
