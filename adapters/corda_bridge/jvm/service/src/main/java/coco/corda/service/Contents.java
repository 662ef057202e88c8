package coco.corda.service;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.Attributes;
import java.util.jar.JarInputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;
import net.corda.core.contracts.Contract;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.Opcodes;

/**
 * What a JAR holds, read without loading or running anything of it.
 *
 * @param classes how many entries are classes; code may be in it where this is not 0
 * @param contracts names of the non-abstract classes that implement Contract, also by way of other classes in the JAR
 */
record Contents(int classes, Set<String> contracts, int contractVersion, int targetPlatformVersion) {
    private record Header(String superName, String[] interfaces, boolean concrete) {}

    /** @throws FailedRequest where it is no archive, two archives in one, or beyond a limit. */
    static Contents of(byte[] jar) {
        Map<String, Header> headers = new HashMap<>();
        Map<String, byte[]> digests = new HashMap<>();
        int classes = 0;
        try (ZipInputStream entries = new ZipInputStream(new ByteArrayInputStream(jar))) {
            long left = Limits.ATTACHMENT_BYTES_UNPACKED;
            for (ZipEntry entry = entries.getNextEntry(); entry != null; entry = entries.getNextEntry()) {
                MessageDigest digest = sha256();
                if (entry.getName().toLowerCase(Locale.ROOT).endsWith(".class")) {
                    byte[] content = readClass(entries);
                    digest.update(content);
                    left -= content.length;
                    classes++;
                    addHeader(headers, content);
                }
                left -= addTo(digest, entries, left);
                if (digests.put(entry.getName(), digest.digest()) != null) {
                    throw FailedRequest.malformed("the archive has two entries of one name");
                }
                if (digests.size() > Limits.ATTACHMENT_ENTRIES) {
                    throw FailedRequest.tooLarge("the archive has more than " + Limits.ATTACHMENT_ENTRIES + " entries");
                }
            }
            if (digests.isEmpty()) {
                throw FailedRequest.malformed("the attachment is no ZIP or JAR with an entry");
            }
            checkDirectory(jar, digests);
        } catch (IOException | IllegalArgumentException error) {
            throw FailedRequest.malformed("the attachment is no readable ZIP or JAR");
        }
        Set<String> contracts = new TreeSet<>();
        headers.forEach((name, header) -> {
            if (header.concrete() && isContract(name, headers, new HashSet<>())) {
                contracts.add(name.replace('/', '.'));
            }
        });
        Manifest manifest = manifest(jar);
        return new Contents(classes, contracts, number(manifest, "Cordapp-Contract-Version"),
                number(manifest, "Target-Platform-Version"));
    }

    /**
     * An archive can be read from its beginning, entry by entry, or by the directory at its end, and need not be the
     * same then. Who signed it is found the one way, its classes are loaded the other way: signed entries in front of
     * a stranger's archive would have the stranger's code run in their signer's name.
     */
    private static void checkDirectory(byte[] jar, Map<String, byte[]> digests) throws IOException {
        Path file = Files.createTempFile("attachment", ".jar");
        try {
            Files.write(file, jar);
            try (ZipFile directory = new ZipFile(file.toFile())) {
                if (directory.size() != digests.size()) {
                    throw FailedRequest.malformed("the archive's directory does not name what is in it");
                }
                for (Map.Entry<String, byte[]> each : digests.entrySet()) {
                    ZipEntry entry = directory.getEntry(each.getKey());
                    if (entry == null || !entry.getName().equals(each.getKey())
                            || !Arrays.equals(digestOf(directory, entry), each.getValue())) {
                        throw FailedRequest.malformed("the archive's directory does not name what is in it");
                    }
                }
            }
        } finally {
            Files.deleteIfExists(file);
        }
    }

    private static byte[] digestOf(ZipFile archive, ZipEntry entry) throws IOException {
        MessageDigest digest = sha256();
        try (InputStream content = archive.getInputStream(entry)) {
            addTo(digest, content, Limits.ATTACHMENT_BYTES_UNPACKED);
        }
        return digest.digest();
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static byte[] readClass(InputStream entry) throws IOException {
        byte[] content = entry.readNBytes(Limits.CLASS_BYTES + 1);
        if (content.length > Limits.CLASS_BYTES) {
            throw FailedRequest.tooLarge("a class in the archive has more than " + Limits.CLASS_BYTES + " bytes");
        }
        return content;
    }

    /** Reads an entry to its end and keeps nothing of it; returns how much that was. */
    private static long addTo(MessageDigest digest, InputStream entry, long limit) throws IOException {
        byte[] part = new byte[1 << 14];
        long size = 0;
        for (int count = entry.read(part); count >= 0; count = entry.read(part)) {
            digest.update(part, 0, count);
            size += count;
            if (size > limit) {
                throw FailedRequest.tooLarge(
                        "unpacked, the archive has more than " + Limits.ATTACHMENT_BYTES_UNPACKED + " bytes");
            }
        }
        return size;
    }

    private static void addHeader(Map<String, Header> headers, byte[] content) {
        try {
            ClassReader reader = new ClassReader(content);
            int abstractOrInterface = Opcodes.ACC_ABSTRACT | Opcodes.ACC_INTERFACE;
            headers.put(reader.getClassName(), new Header(reader.getSuperName(), reader.getInterfaces(),
                    (reader.getAccess() & abstractOrInterface) == 0));
        } catch (RuntimeException notClass) {
            // Named like a class and none: no JVM loads it, so no contract is lost.
        }
    }

    private static boolean isContract(String name, Map<String, Header> headers, Set<String> seen) {
        if (name == null || !seen.add(name)) {
            return false;
        }
        Header header = headers.get(name);
        if (header == null) {
            return isContractOfPlatform(name);
        }
        if (isContract(header.superName(), headers, seen)) {
            return true;
        }
        for (String each : header.interfaces()) {
            if (isContract(each, headers, seen)) {
                return true;
            }
        }
        return false;
    }

    private static boolean isContractOfPlatform(String name) {
        if (!name.startsWith("net/corda/core/")) {
            return false;
        }
        try {
            Class<?> type = Class.forName(name.replace('/', '.'), false, Contract.class.getClassLoader());
            return Contract.class.isAssignableFrom(type);
        } catch (ClassNotFoundException | LinkageError absent) {
            return false;
        }
    }

    private static Manifest manifest(byte[] jar) {
        try (JarInputStream entries = new JarInputStream(new ByteArrayInputStream(jar), false)) {
            return entries.getManifest();
        } catch (IOException error) {
            throw FailedRequest.malformed("the attachment's manifest cannot be read");
        }
    }

    /** Corda counts from 1, and takes what is not said, or is no number, as 1. */
    private static int number(Manifest manifest, String name) {
        String value = manifest == null ? null : manifest.getMainAttributes().getValue(new Attributes.Name(name));
        try {
            return value == null ? 1 : Math.max(1, Integer.parseInt(value.trim()));
        } catch (NumberFormatException notNumber) {
            return 1;
        }
    }
}
