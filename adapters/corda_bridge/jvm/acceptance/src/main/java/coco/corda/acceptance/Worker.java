package coco.corda.acceptance;

import coco.corda.wire.Request;
import coco.corda.wire.Response;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The worker as an adapter starts it: a process of its own, spoken to over a connection, ended by closing its input. */
public final class Worker implements AutoCloseable {
    /** Everything the worker is started with but its bounds; jvm/README.md says why each. */
    private static final List<String> FLAGS = List.of(
            "-Xmx256m", "-Xss1m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData",
            "-XX:+DisableAttachMechanism",
            // The first line it prints is read and none after it: a JVM with more to say would wait for ever.
            "-Xlog:disable");

    private final Process process;
    private final InetSocketAddress address;
    private final Socket socket;
    private final DataInputStream input;
    private final DataOutputStream output;
    private long requests;

    private Worker(Process process, InetSocketAddress address) throws IOException {
        this.process = process;
        this.address = address;
        socket = connect();
        input = new DataInputStream(socket.getInputStream());
        output = new DataOutputStream(socket.getOutputStream());
    }

    /** Where the build put the worker. */
    public static Path home() {
        return Path.of(System.getProperty("service.home"));
    }

    /** The worker's classes, read and checked beforehand; there once {@link Archive} wrote it. */
    public static Path archive() {
        return home().resolve("coco-corda-service.jsa");
    }

    public static Worker start(String... moreFlags) throws IOException {
        List<String> flags = new ArrayList<>();
        if (Files.exists(archive())) {
            flags.add("-XX:SharedArchiveFile=" + archive());
        }
        flags.addAll(List.of(moreFlags));
        flags.addAll(List.of("-jar", jar().toString(), "--loopback"));
        Process process = launch(flags);
        String ready = readLine(process);
        if (ready == null || !ready.startsWith("ready ")) {
            process.destroyForcibly();
            throw new IOException("the worker did not start: " + ready);
        }
        String[] hostAndPort = ready.substring("ready ".length()).split(":");
        return new Worker(process, new InetSocketAddress(hostAndPort[0], Integer.parseInt(hostAndPort[1])));
    }

    static Path jar() {
        return home().resolve("coco-corda-service-worker.jar");
    }

    /** A process of the worker's JVM with an empty environment; what it runs and how is said by its arguments. */
    static Process launch(List<String> arguments) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(FLAGS);
        command.addAll(arguments);
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().clear();
        return builder.start();
    }

    /** The line it says that it is ready with; null where it ended instead. */
    static String readLine(Process process) throws IOException {
        return new BufferedReader(new InputStreamReader(process.getInputStream())).readLine();
    }

    /** Another connection, as another thread needs. */
    public Socket connect() throws IOException {
        Socket connected = new Socket();
        connected.setTcpNoDelay(true);
        connected.connect(address);
        return connected;
    }

    /** @throws EOFException where the worker ended instead of answering */
    public Response ask(Request.Builder request) throws IOException {
        Request numbered = request.setId(++requests).build();
        write(output, numbered);
        Response response = read(input);
        if (response.getId() != numbered.getId()) {
            throw new IOException("the worker answered " + response.getId() + ", not " + numbered.getId());
        }
        return response;
    }

    public static void write(DataOutputStream output, Request request) throws IOException {
        byte[] message = request.toByteArray();
        byte[] frame = java.nio.ByteBuffer.allocate(Integer.BYTES + message.length)
                .putInt(message.length).put(message).array();
        output.write(frame);
        output.flush();
    }

    public static Response read(DataInputStream input) throws IOException {
        return Response.parseFrom(input.readNBytes(input.readInt()));
    }

    /** The exit status, once the worker ended. */
    public int waitForEnd() throws InterruptedException {
        if (!process.waitFor(5, TimeUnit.MINUTES)) {
            process.destroyForcibly();
            throw new IllegalStateException("the worker does not end");
        }
        return process.exitValue();
    }

    /** Processor time used so far, in seconds: says more than the clock on a machine that others use too. */
    public double cpuSeconds() {
        return process.info().totalCpuDuration().map(each -> each.toNanos() / 1e9).orElse(Double.NaN);
    }

    public void closeInput() throws IOException {
        process.getOutputStream().close();
    }

    @Override
    public void close() throws IOException {
        socket.close();
        closeInput();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
        } catch (InterruptedException now) {
            Thread.currentThread().interrupt();
        }
        process.destroyForcibly();
    }
}
