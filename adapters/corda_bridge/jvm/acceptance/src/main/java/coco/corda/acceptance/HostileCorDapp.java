package coco.corda.acceptance;

import coco.corda.client.Draft;
import coco.corda.internal.Corda;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import javax.tools.ToolProvider;
import net.corda.core.contracts.CommandData;
import net.corda.core.contracts.ContractState;
import net.corda.core.contracts.HashAttachmentConstraint;
import net.corda.core.contracts.PrivacySalt;
import net.corda.core.crypto.SecureHash;
import net.corda.core.identity.Party;
import net.corda.core.transactions.SignedTransaction;

/** The contract of src/hostile: compiled here, put into a jar of its own, and a transaction for each of its deeds. */
public final class HostileCorDapp {
    static final List<String> DEEDS = List.of("nothing", "halt", "exit", "loop", "exhaust", "overflow", "environment",
            "files", "write", "print", "lie", "sabotage");

    private final byte[] jar;
    private final Map<String, Vector> deeds = new LinkedHashMap<>();

    /** @param sources the folder with the contract's source */
    HostileCorDapp(Path sources) throws Exception {
        Path classes = Files.createTempDirectory("hostile");
        compile(sources, classes);
        jar = pack(classes);
        SecureHash id = SecureHash.sha256(jar);
        try (URLClassLoader loader = new URLClassLoader(new URL[] {classes.toUri().toURL()})) {
            ContractState state = (ContractState) loader.loadClass("coco.hostile.Hostile$State")
                    .getConstructor(Party.class).newInstance(Consortium.ALICE.party());
            for (String deed : DEEDS) {
                CommandData command = (CommandData) loader.loadClass("coco.hostile.Hostile$Do")
                        .getConstructor(String.class).newInstance(deed);
                SignedTransaction signed = Draft.sign(
                        new Draft(Consortium.NOTARY.party(), Consortium.hashOf("epoch-2"))
                                .attachment(id)
                                .output(state, "coco.hostile.Hostile", new HashAttachmentConstraint(id))
                                .command(command, Consortium.ALICE.key())
                                .build(new PrivacySalt(SecureHash.sha256(deed).getBytes())),
                        Consortium.ALICE.keys());
                deeds.put(deed, new Vector(deed, signed, Corda.serialize(signed), List.of(), true, "", ""));
            }
        }
    }

    byte[] jar() {
        return jar;
    }

    Vector deed(String deed) {
        return deeds.get(deed);
    }

    /** Writes hostile.jar and DEED.stx; run with the sources and the folder to write to. */
    public static void main(String[] arguments) throws Exception {
        HostileCorDapp hostile = new HostileCorDapp(Path.of(arguments[0]));
        Path folder = Files.createDirectories(Path.of(arguments[1]));
        Files.write(folder.resolve("hostile.jar"), hostile.jar);
        for (Vector deed : hostile.deeds.values()) {
            Files.write(folder.resolve(deed.name() + ".stx"), deed.stx());
        }
    }

    private static void compile(Path sources, Path classes) throws IOException {
        try (Stream<Path> files = Files.walk(sources)) {
            List<String> arguments = new java.util.ArrayList<>(List.of("-parameters", "-proc:none", "-nowarn",
                    "--release", "8", "-Xlint:-options", "-d", classes.toString(),
                    "-classpath", System.getProperty("java.class.path")));
            files.filter(each -> each.toString().endsWith(".java")).forEach(each -> arguments.add(each.toString()));
            int status = ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments.toArray(String[]::new));
            if (status != 0) {
                throw new IOException("the hostile contract does not compile");
            }
        }
    }

    /** The same bytes every time: entries in order, and no time of day. */
    private static byte[] pack(Path classes) throws IOException {
        Map<String, byte[]> entries = new TreeMap<>();
        try (Stream<Path> files = Files.walk(classes)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                entries.put(classes.relativize(file).toString().replace('\\', '/'), Files.readAllBytes(file));
            }
        }
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().putValue("Target-Platform-Version", "4");
        manifest.getMainAttributes().putValue("Cordapp-Contract-Version", "3");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ByteArrayOutputStream manifestBytes = new ByteArrayOutputStream();
        manifest.write(manifestBytes);
        try (JarOutputStream out = new JarOutputStream(bytes)) {
            put(out, "META-INF/MANIFEST.MF", manifestBytes.toByteArray());
            for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
                put(out, entry.getKey(), entry.getValue());
            }
        }
        return bytes.toByteArray();
    }

    private static void put(JarOutputStream out, String name, byte[] content) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setTimeLocal(LocalDateTime.of(2024, 1, 1, 0, 0));
        out.putNextEntry(entry);
        out.write(content);
        out.closeEntry();
    }
}
