package coco.corda.cordapp;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Builds a CorDapp's contracts and their tests from their sources, and runs the tests in a JVM with {@link Agent} in it.
 *
 * <p>{@code [--beside JAR]... [--library JAR]... [--jar JAR] FOLDER}: a folder as Gradle has it, {@code src/main} and {@code src/test}
 * with {@code java} or {@code kotlin} in them; the first is not looked at where the contracts are a JAR already. {@code --jar JAR
 * --tests JAR}: both as they are.
 */
final class Main {
    /** What Corda and Mockito, made for Java 8, look into and newer Java keeps shut. */
    private static final List<String> OPENED = List.of(
            "java.base/java.io", "java.base/java.lang", "java.base/java.lang.invoke", "java.base/java.lang.reflect",
            "java.base/java.math", "java.base/java.net", "java.base/java.nio", "java.base/java.security",
            "java.base/java.security.cert", "java.base/java.text", "java.base/java.time", "java.base/java.util",
            "java.base/java.util.concurrent", "java.base/sun.net.www.protocol.jar", "java.base/sun.security.x509",
            "java.sql/java.sql");

    /** Where R3's MockServices leave JARs that they make up. */
    private static final Path WRITTEN = Path.of("build", "generated-custom-cordapps");

    /** Only by name: its class path is not this one. */
    private static final String TESTS = "coco.corda.cordapp.Tests";

    private final Path home = Path.of(System.getProperty("cordapp-tests.home")).toAbsolutePath();
    private final List<Path> beside = new ArrayList<>();
    private final List<Path> libraries = new ArrayList<>();
    private Path folder;
    private Path jar;
    private Path tests;

    private Main() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Main main = new Main();
        if (!main.understands(List.of(arguments))) {
            System.err.println("usage: cordapp-tests.sh [--beside JAR]... [--library JAR]... [--jar JAR] (FOLDER | --tests JAR)");
            System.exit(2);
        }
        Path work = Files.createTempDirectory("cordapp-tests");
        int status;
        try {
            status = main.run(work);
        } finally {
            remove(work);
        }
        System.exit(status);
    }

    private boolean understands(List<String> arguments) {
        for (int index = 0; index < arguments.size(); index++) {
            String argument = arguments.get(index);
            if (!argument.startsWith("--")) {
                folder = Path.of(argument).toAbsolutePath();
                continue;
            }
            if (++index == arguments.size()) {
                return false;
            }
            Path value = Path.of(arguments.get(index)).toAbsolutePath();
            switch (argument) {
                case "--beside" -> beside.add(value);
                case "--library" -> libraries.add(value);
                case "--jar" -> jar = value;
                case "--tests" -> tests = value;
                default -> {
                    return false;
                }
            }
        }
        return folder == null ? jar != null && tests != null : tests == null;
    }

    private int run(Path work) throws IOException, InterruptedException {
        if (folder != null) {
            Build build = new Build(home, classPath());
            if (jar == null) {
                jar = build.jar(folder.resolve("src/main"), work.resolve("contracts.jar"), List.of());
            }
            tests = jar == null ? null : build.jar(folder.resolve("src/test"), work.resolve("tests.jar"), List.of(jar));
            if (tests == null) {
                return 1;
            }
        }
        jar = Unsealed.forTests(jar, tests, work.resolve("unsealed.jar"));
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        OPENED.forEach(each -> command.addAll(List.of("--add-opens", each + "=ALL-UNNAMED")));
        List<Path> path = new ArrayList<>(List.of(jar, tests));
        path.addAll(classPath());
        command.addAll(List.of(
                "-javaagent:" + agent(), "-Dservice.home=" + System.getProperty("service.home"),
                "-D" + Cordapps.BESIDE + "=" + joined(beside), "-Dlog4j.configurationFile=classpath:cordapp-tests-log4j2.xml",
                "-Xshare:auto", "-Xlog:disable", "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
                "-cp", joined(path), TESTS, tests.toString()));
        // Where Gradle and Maven run them: tests open files by paths from there.
        Path place = folder == null ? work : folder;
        Path written = place.resolve(WRITTEN);
        boolean wasThere = Files.exists(written);
        try {
            return new ProcessBuilder(command).directory(place.toFile()).inheritIO().start().waitFor();
        } finally {
            if (!wasThere && Files.exists(written)) {
                remove(written);
                if (written.getParent().toFile().list().length == 0) {
                    Files.delete(written.getParent());
                }
            }
        }
    }

    private List<Path> classPath() throws IOException {
        List<Path> path = new ArrayList<>(beside);
        path.addAll(libraries);
        path.add(agent());
        for (String part : List.of("lib", "node")) {
            try (Stream<Path> jars = Files.list(home.resolve(part))) {
                // Two of a node's are empty and make the Kotlin compiler complain.
                jars.filter(each -> each.toString().endsWith(".jar") && !each.toString().contains("kotlin-stdlib-jre"))
                        .sorted().forEach(path::add);
            }
        }
        return path;
    }

    private Path agent() {
        return home.resolve("agent.jar");
    }

    private static String joined(List<Path> paths) {
        return String.join(java.io.File.pathSeparator, paths.stream().map(Path::toString).toList());
    }

    private static void remove(Path work) throws IOException {
        try (Stream<Path> paths = Files.walk(work)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
