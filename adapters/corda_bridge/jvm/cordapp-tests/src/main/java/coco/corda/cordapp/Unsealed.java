package coco.corda.cordapp;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;

/**
 * A published JAR for tests that are in its own packages.
 *
 * <p>CorDapps are published sealed and signed, and Java lets no class from elsewhere into the packages of such a JAR. Those
 * who wrote them test their classes before they are packed.
 */
final class Unsealed {
    private Unsealed() {}

    /** @return the JAR; where these tests could not be loaded beside it, a copy that is neither sealed nor signed */
    static Path forTests(Path jar, Path tests, Path copy) throws IOException {
        try (JarFile file = new JarFile(jar.toFile(), false)) {
            Manifest manifest = file.getManifest();
            boolean shut = isSigned(file)
                    || manifest != null && "true".equalsIgnoreCase(manifest.getMainAttributes().getValue(Attributes.Name.SEALED));
            if (!shut || !shareAPackage(jar, tests)) {
                return jar;
            }
            System.err.println("note: the tests are in packages of " + jar.getFileName()
                    + ", so it is taken without its seal and its signatures");
            write(file, manifest == null ? new Manifest() : manifest, copy);
            return copy;
        }
    }

    private static boolean isSigned(JarFile jar) {
        return jar.stream().anyMatch(entry -> isSignature(entry.getName()));
    }

    private static boolean isSignature(String name) {
        String upper = name.toUpperCase(Locale.ROOT);
        return upper.startsWith("META-INF/") && Stream.of(".SF", ".RSA", ".DSA", ".EC").anyMatch(upper::endsWith);
    }

    private static boolean shareAPackage(Path one, Path other) throws IOException {
        Set<String> packages = packagesOf(one);
        return packagesOf(other).stream().anyMatch(packages::contains);
    }

    private static Set<String> packagesOf(Path jar) throws IOException {
        try (JarFile file = new JarFile(jar.toFile()); Stream<JarEntry> entries = file.stream()) {
            return entries.map(JarEntry::getName).filter(name -> name.endsWith(".class") && !name.startsWith("META-INF/"))
                    .map(name -> name.substring(0, Math.max(0, name.lastIndexOf('/')))).collect(Collectors.toSet());
        }
    }

    private static void write(JarFile jar, Manifest manifest, Path copy) throws IOException {
        // The manifest's other entries are digests for the signatures.
        manifest.getEntries().clear();
        manifest.getMainAttributes().remove(Attributes.Name.SEALED);
        List<JarEntry> entries = jar.stream()
                .filter(each -> !each.isDirectory() && !each.getName().equals(JarFile.MANIFEST_NAME))
                .filter(each -> !isSignature(each.getName())).toList();
        try (JarOutputStream output = new JarOutputStream(Files.newOutputStream(copy), manifest)) {
            for (JarEntry entry : entries) {
                output.putNextEntry(new ZipEntry(entry.getName()));
                jar.getInputStream(entry).transferTo(output);
            }
        }
    }
}
