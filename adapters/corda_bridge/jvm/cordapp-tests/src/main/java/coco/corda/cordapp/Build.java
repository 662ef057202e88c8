package coco.corda.cordapp;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import javax.tools.ToolProvider;

/** Makes JARs of sources as Corda's Gradle plug-in does: for Java 8, with parameters' names, which Corda's serialisation asks for. */
final class Build {
    private final Path home;
    private final List<Path> classPath;

    /** @param home where the Kotlin compiler is, in a folder of its own */
    Build(Path home, List<Path> classPath) {
        this.home = home;
        this.classPath = classPath;
    }

    /** @return the JAR; null where the compiler, which said why, makes none */
    Path jar(Path sources, Path jar, List<Path> before) throws IOException, InterruptedException {
        Path classes = Files.createDirectory(jar.resolveSibling(jar.getFileName() + ".classes"));
        List<Path> path = new ArrayList<>(before);
        path.addAll(classPath);
        List<String> kotlin = sourcesIn(sources, ".kt");
        List<String> java = sourcesIn(sources, ".java");
        if (kotlin.isEmpty() && java.isEmpty()) {
            System.err.println("no sources in " + sources);
            return null;
        }
        if (!kotlin.isEmpty() && !compileKotlin(kotlin, java, path, classes)) {
            return null;
        }
        path.add(classes);
        if (!java.isEmpty() && !compileJava(java, path, classes)) {
            return null;
        }
        Path resources = sources.resolve("resources");
        pack(jar, Files.isDirectory(resources) ? List.of(classes, resources) : List.of(classes));
        return jar;
    }

    private static List<String> sourcesIn(Path folder, String ending) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(folder)) {
            return files.map(Path::toString).filter(each -> each.endsWith(ending)).sorted().toList();
        }
    }

    private static boolean compileJava(List<String> sources, List<Path> path, Path classes) {
        List<String> arguments = new ArrayList<>(List.of(
                "--release", "8", "-parameters", "-proc:none", "-nowarn", "-Xlint:-options",
                "-cp", joined(path), "-d", classes.toString()));
        arguments.addAll(sources);
        return ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments.toArray(String[]::new)) == 0;
    }

    /** In a JVM of its own: the compiler has another Kotlin library than Corda. */
    private boolean compileKotlin(List<String> sources, List<String> java, List<Path> path, Path classes)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp", home.resolve("compiler") + File.separator + "*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
                "-no-stdlib", "-no-reflect", "-nowarn", "-jvm-target", "1.8", "-java-parameters",
                "-cp", joined(path), "-d", classes.toString()));
        command.addAll(sources);
        command.addAll(java);
        return new ProcessBuilder(command).inheritIO().start().waitFor() == 0;
    }

    private static void pack(Path jar, List<Path> folders) throws IOException {
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        // As the plug-in writes for every CorDapp of Corda 4.
        manifest.getMainAttributes().putValue("Min-Platform-Version", "4");
        manifest.getMainAttributes().putValue("Target-Platform-Version", "4");
        try (JarOutputStream output = new JarOutputStream(Files.newOutputStream(jar), manifest)) {
            for (Path folder : folders) {
                for (Path file : filesIn(folder)) {
                    output.putNextEntry(new ZipEntry(folder.relativize(file).toString().replace(File.separatorChar, '/')));
                    Files.copy(file, output);
                }
            }
        }
    }

    private static List<Path> filesIn(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile).sorted().toList();
        }
    }

    private static String joined(List<Path> paths) {
        return String.join(File.pathSeparator, paths.stream().map(Path::toString).toList());
    }
}
