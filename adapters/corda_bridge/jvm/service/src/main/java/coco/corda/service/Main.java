package coco.corda.service;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
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
 * <p>It is told everything by arguments and by requests, writes no file but copies of jars, and ends when its standard
 * input does, which is when whoever started it is gone. Contracts run in it unconfined, so it is given nothing it could
 * betray.
 */
public final class Main {
    /** When the heap is exhausted; the same as -XX:+ExitOnOutOfMemoryError. */
    static final int EXIT_EXHAUSTED = 3;
    static final int EXIT_USAGE = 2;
    /** This JVM is not one that Corda runs on as it is started: no verdict of its would be worth anything. */
    static final int EXIT_UNFIT = 4;
    static final String CORDA_VERSION = manifestEntry("Corda-Release-Version");
    private static final String USAGE = """
            usage: java -jar coco-corda-service-worker.jar (--inherited | --loopback)
                   [--threads N] [--queued-requests N] [--frame-bytes N]
            """;

    private Main() {}

    /** Prints one line once requests are taken: "ready", or "ready HOST:PORT" of the loopback. */
    public static void main(String[] arguments) throws IOException {
        boolean inherited = false;
        Limits limits = Limits.DEFAULT;
        boolean loopback = false;
        try {
            for (int index = 0; index < arguments.length; index++) {
                switch (arguments[index]) {
                    case "--loopback" -> loopback = true;
                    case "--inherited" -> inherited = true;
                    case "--threads" -> limits = new Limits(
                            Integer.parseInt(arguments[++index]), limits.queuedRequests(), limits.frameBytes());
                    case "--queued-requests" -> limits = new Limits(
                            limits.threads(), Integer.parseInt(arguments[++index]), limits.frameBytes());
                    case "--frame-bytes" -> limits = new Limits(
                            limits.threads(), limits.queuedRequests(), Integer.parseInt(arguments[++index]));
                    default -> throw new IllegalArgumentException("unknown argument: " + arguments[index]);
                }
            }
            if (loopback == inherited) {
                throw new IllegalArgumentException("one of --inherited and --loopback must be said");
            }
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException error) {
            fail(error.getMessage());
        }
        if (loopback) {
            serve(limits);
        } else if (System.inheritedChannel() instanceof SocketChannel connected) {
            serve(connected, limits);
        } else {
            fail("standard input is no connected socket");
        }
    }

    private static void fail(String message) {
        System.err.println(message + "\n" + USAGE);
        System.exit(EXIT_USAGE);
    }

    /** Answers on the one connection there is, until it ends. */
    private static void serve(SocketChannel connected, Limits limits) {
        PrintStream standardOutput = System.out;
        Operations operations = start(limits);
        standardOutput.println("ready");
        standardOutput.flush();
        new Connection(connected, operations, workers(limits), limits).run();
        end();
    }

    /** Answers whoever connects to a port of the loopback, until standard input ends. */
    private static void serve(Limits limits) throws IOException {
        InputStream standardInput = System.in;
        PrintStream standardOutput = System.out;
        Operations operations = start(limits);
        ServerSocketChannel server =
                ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        daemon("until-input-ends", () -> waitForEnd(standardInput));
        standardOutput.println("ready " + address(server));
        standardOutput.flush();
        accept(server, operations, limits);
    }

    private static Operations start(Limits limits) {
        PrintStream standardError = System.err;
        // A contract that prints writes what it knows into somebody's log.
        System.setIn(InputStream.nullInputStream());
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        try {
            return new Operations(limits);
        } catch (IllegalStateException | LinkageError unfit) {
            standardError.println("Corda does not run on this JVM: " + unfit);
            System.exit(EXIT_UNFIT);
            throw unfit;
        }
    }

    private static ExecutorService workers(Limits limits) {
        return new ThreadPoolExecutor(limits.threads(), limits.threads(), 0, TimeUnit.SECONDS,
                new ArrayBlockingQueue<>(limits.queuedRequests()));
    }

    private static String address(ServerSocketChannel server) throws IOException {
        InetSocketAddress address = (InetSocketAddress) server.getLocalAddress();
        return address.getAddress().getHostAddress() + ":" + address.getPort();
    }

    private static void accept(ServerSocketChannel server, Operations operations, Limits limits) throws IOException {
        ExecutorService workers = workers(limits);
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
        end();
    }

    private static void end() {
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
