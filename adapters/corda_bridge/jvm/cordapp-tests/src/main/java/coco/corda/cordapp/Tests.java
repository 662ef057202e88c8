package coco.corda.cordapp;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClasspathRoots;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestExecutionResult.Status;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs every JUnit test of the given JARs, and says what came of them and what the worker was asked. */
final class Tests implements TestExecutionListener {
    private record Counts(int run, int failed) {}

    private final Map<String, Counts> classes = new TreeMap<>();
    private final PrintStream output;

    private Tests(PrintStream output) {
        this.output = output;
    }

    /** Ends with status 1 where a test failed, or where the worker said otherwise than Corda or was never asked. */
    public static void main(String[] jars) {
        PrintStream output = System.out;
        // A node's libraries have much to say; the verdicts are what was asked for.
        System.setOut(new PrintStream(PrintStream.nullOutputStream()));
        Tests tests = new Tests(output);
        Set<Path> roots = Arrays.stream(jars).map(Path::of).collect(Collectors.toSet());
        LauncherDiscoveryRequest request =
                LauncherDiscoveryRequestBuilder.request().selectors(selectClasspathRoots(roots)).build();
        LauncherFactory.create().execute(request, tests);
        boolean passed = tests.report() && Verdicts.tally().isGood();
        // Threads of what tests started may still run.
        System.exit(passed ? 0 : 1);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        String name = test.getSource().map(Tests::nameOf).orElse(test.getDisplayName());
        boolean failed = result.getStatus() != Status.SUCCESSFUL;
        if (test.isTest() || failed) {
            classes.merge(name, new Counts(1, failed ? 1 : 0),
                    (one, other) -> new Counts(one.run() + other.run(), one.failed() + other.failed()));
        }
        if (failed) {
            output.println("FAILED " + name + "." + test.getDisplayName());
            result.getThrowable().ifPresent(error -> output.println(String.valueOf(error).indent(4).stripTrailing()));
        }
    }

    private static String nameOf(org.junit.platform.engine.TestSource source) {
        return source instanceof MethodSource method ? method.getClassName() : source.toString();
    }

    private boolean report() {
        int failed = classes.values().stream().mapToInt(Counts::failed).sum();
        classes.forEach((name, counts) ->
                output.println(name + ": " + counts.run() + " tests, " + counts.failed() + " failed"));
        output.println(Verdicts.tally().report());
        return failed == 0;
    }
}
