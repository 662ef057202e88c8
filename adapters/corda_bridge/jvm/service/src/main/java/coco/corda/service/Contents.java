package coco.corda.service;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
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

    /** @throws FailedRequest where it is no archive, or beyond a limit. */
    static Contents of(byte[] jar) {
        Map<String, Header> headers = new HashMap<>();
        int classes = 0;
        try (ZipInputStream entries = new ZipInputStream(new ByteArrayInputStream(jar))) {
            long left = Limits.ATTACHMENT_BYTES_UNPACKED;
            int count = 0;
            for (ZipEntry entry = entries.getNextEntry(); entry != null; entry = entries.getNextEntry()) {
                if (++count > Limits.ATTACHMENT_ENTRIES) {
                    throw FailedRequest.tooLarge("the archive has more than " + Limits.ATTACHMENT_ENTRIES + " entries");
                }
                byte[] content = read(entries, left);
                left -= content.length;
                if (entry.getName().toLowerCase(Locale.ROOT).endsWith(".class")) {
                    classes++;
                    addHeader(headers, content);
                }
            }
            if (count == 0) {
                throw FailedRequest.malformed("the attachment is no ZIP or JAR with an entry");
            }
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

    private static byte[] read(InputStream entry, long limit) throws IOException {
        byte[] content = entry.readNBytes((int) Math.min(limit + 1, Integer.MAX_VALUE - 8));
        if (content.length > limit) {
            throw FailedRequest.tooLarge("unpacked, the archive has more than " + Limits.ATTACHMENT_BYTES_UNPACKED + " bytes");
        }
        return content;
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
