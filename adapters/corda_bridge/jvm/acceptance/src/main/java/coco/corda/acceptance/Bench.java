package coco.corda.acceptance;

import coco.corda.internal.Corda;
import coco.corda.wire.Request;
import coco.corda.wire.Response;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.corda.core.transactions.SignedTransaction;

/** How fast: from the start of the process to the first verdict, and verdicts about moves of cash when warm. */
public final class Bench {
    private static final int MOVES = 500;
    private static final int OPEN = 16;

    private Bench() {}

    public static void main(String[] arguments) throws Exception {
        int seconds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 10;
        List<Request> moves = new ArrayList<>();
        for (int number = 0; number < MOVES; number++) {
            SignedTransaction issue = Workload.issue(number);
            Vector made = new Vector("issue", issue, new byte[0], List.of(), true, "", "");
            SignedTransaction move = Workload.move(number, issue);
            Vector vector = new Vector("move", move, Corda.serialize(move),
                    List.of(new Vector.State("issue", made.ref(0), made.output(0), "epoch-2")), true, "", "");
            moves.add(Asking.verify(vector, Asking.FINANCE).setId(number + 1).build());
        }
        System.out.println("JVM " + System.getProperty("java.version") + ", " + Runtime.getRuntime().availableProcessors()
                + " processors for the worker and for whoever asks it, loopback TCP, " + moves.get(0).getSerializedSize()
                + " bytes a request, archive of classes: " + (Files.exists(Worker.archive()) ? "yes" : "no"));
        long begun = System.nanoTime();
        try (Worker worker = Worker.start()) {
            System.out.printf("ready after %.2f s%n", since(begun));
            Asking.introduce(worker);
            worker.ask(moves.get(0).toBuilder());
            System.out.printf("first verdict after %.2f s%n", since(begun));
            run(worker, moves, 1, seconds);
            System.out.println("one at a time: " + run(worker, moves, 1, seconds));
            System.out.println(OPEN + " at a time: " + run(worker, moves, OPEN, seconds));
        }
    }

    private static String run(Worker worker, List<Request> moves, int open, int seconds) throws IOException {
        List<Long> times = new ArrayList<>();
        long[] sent = new long[moves.size() + 1];
        double used = worker.cpuSeconds();
        long begun = System.nanoTime();
        try (Socket socket = worker.connect()) {
            DataOutputStream output = new DataOutputStream(socket.getOutputStream());
            DataInputStream input = new DataInputStream(new java.io.BufferedInputStream(socket.getInputStream()));
            int next = 0;
            for (int number = 0; number < open; number++) {
                sent[next + 1] = System.nanoTime();
                Worker.write(output, moves.get(next++));
            }
            while (since(begun) < seconds) {
                Response response = Worker.read(input);
                if (!response.hasVerified()) {
                    throw new IOException("not verified: " + response);
                }
                times.add(System.nanoTime() - sent[(int) response.getId()]);
                next = (next + 1) % moves.size();
                sent[next + 1] = System.nanoTime();
                Worker.write(output, moves.get(next));
            }
        }
        double taken = since(begun);
        long[] sorted = times.stream().mapToLong(Long::longValue).toArray();
        Arrays.sort(sorted);
        double cpu = (worker.cpuSeconds() - used) / times.size();
        return String.format("%.0f/s, %.0f us of the worker's processor time each, p50 %.0f us, p99 %.0f us",
                times.size() / taken, cpu * 1e6,
                sorted[sorted.length / 2] / 1e3, sorted[sorted.length * 99 / 100] / 1e3);
    }

    private static double since(long begun) {
        return (System.nanoTime() - begun) / 1e9;
    }
}
