package coco.corda.cordapp;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestExecutionResult.Status;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs every JUnit test of the given JAR, and says what came of them and what the worker was asked. */
final class Tests implements TestExecutionListener {
    private record Counts(int run, int failed) {}

    private final Map<String, Counts> classes = new TreeMap<>();
    private final PrintStream output;

    private Tests(PrintStream output) {
        this.output = output;
    }

    /** Ends with status 1 where a test failed, with 3 where the worker said otherwise than Corda, or was never asked. */
    public static void main(String[] jar) throws IOException {
        PrintStream output = System.out;
        // A node's libraries have much to say; the verdicts are what was asked for.
        System.setOut(new PrintStream(PrintStream.nullOutputStream()));
        Tests tests = new Tests(output);
        LauncherDiscoveryRequest request =
                LauncherDiscoveryRequestBuilder.request().selectors(classesIn(jar[0])).build();
        LauncherFactory.create().execute(request, tests);
        int failed = tests.report() ? 0 : 1;
        // Threads of what tests started may still run.
        System.exit(Verdicts.tally().isGood() ? failed : 3);
    }

    private static List<DiscoverySelector> classesIn(String jar) throws IOException {
        try (JarFile file = new JarFile(jar); Stream<String> names = file.stream().map(each -> each.getName())) {
            return names.filter(name -> name.endsWith(".class") && !name.startsWith("META-INF/"))
                    .map(name -> name.substring(0, name.length() - ".class".length()).replace('/', '.'))
                    .sorted().<DiscoverySelector>map(name -> selectClass(name)).toList();
        }
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
            for (Throwable error = result.getThrowable().orElse(null); error != null; error = error.getCause()) {
                output.println(String.valueOf(error).indent(4).stripTrailing());
                if (error.getCause() == null && error.getStackTrace().length > 0) {
                    output.println("        at " + error.getStackTrace()[0]);
                }
            }
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
