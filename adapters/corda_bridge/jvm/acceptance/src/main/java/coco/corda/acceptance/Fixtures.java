package coco.corda.acceptance;

import coco.corda.client.Member;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import net.corda.core.crypto.SecureHash;
import net.corda.core.transactions.SignedTransaction;
import net.i2p.crypto.eddsa.EdDSAPrivateKey;

/**
 * Writes the golden vectors: the bytes Corda's own classes make, and what the network has to say about them.
 *
 * <p>Run with the folder to write to. The same bytes come out every time.
 */
public final class Fixtures {
    private static final HexFormat HEX = HexFormat.of();

    private Fixtures() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        Files.createDirectories(folder);
        JsonObject index = new JsonObject();
        index.addProperty("corda", SignedTransaction.class.getProtectionDomain().getCodeSource().getLocation().getPath()
                .replaceFirst(".*/corda-core-(.*)\\.jar", "$1"));
        index.add("members", members());
        index.add("network_parameters", parameters(folder));
        JsonObject attachments = new JsonObject();
        attachments.addProperty("terms.zip", hex(SecureHash.sha256(Consortium.data())));
        Files.write(folder.resolve("terms.zip"), Consortium.data());
        attachments.addProperty("net.corda:corda-finance-contracts", hex(Asking.FINANCE));
        attachments.addProperty("com.r3.corda.lib.tokens:tokens-contracts", hex(Asking.TOKENS));
        index.add("attachments", attachments);
        JsonArray transactions = new JsonArray();
        Map<String, Vector> makers = new LinkedHashMap<>();
        for (Vector vector : Vectors.make()) {
            makers.put(vector.name(), vector);
            transactions.add(transaction(vector, folder, makers));
        }
        index.add("transactions", transactions);
        String json = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create().toJson(index);
        Files.writeString(folder.resolve("vectors.json"), json + "\n");
        Files.writeString(folder.resolve("SOURCES.md"), sources(folder));
    }

    /** Where each file is from, and its SHA-256. */
    private static String sources(Path folder) throws IOException {
        StringBuilder text = new StringBuilder("""
                # Where these files are from

                Written by `jvm/tool.sh Fixtures FOLDER`, which makes the same bytes every time: transactions of our own
                (Apache License 2.0, as the project), serialised by Corda's own classes. `vectors.json` lists them
                in the order in which a network takes them: each with its id, the states it uses, and the verdict;
                `message` is part of what the verdict's causes say. The members' private keys are there to be known
                by everybody. The contracts' jars are not here: the build resolves them, and `vectors.json` has
                their SHA-256.

                | file | SHA-256 |
                | --- | --- |
                """);
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.sorted().toList()) {
                if (!file.endsWith("SOURCES.md")) {
                    text.append("| `").append(file.getFileName()).append("` | `")
                            .append(hex(SecureHash.sha256(Files.readAllBytes(file)))).append("` |\n");
                }
            }
        }
        return text.toString();
    }

    /** Their private keys too: they follow from small numbers and belong to nobody. */
    private static JsonObject members() {
        JsonObject members = new JsonObject();
        for (Member member : List.of(Consortium.NOTARY, Consortium.BANK, Consortium.ALICE, Consortium.BOB,
                Consortium.OTHER_NOTARY)) {
            JsonObject described = new JsonObject();
            described.addProperty("key", HEX.formatHex(member.key().getEncoded()));
            described.addProperty("seed", HEX.formatHex(((EdDSAPrivateKey) member.keys().getPrivate()).getSeed()));
            members.add(member.party().getName().toString(), described);
        }
        return members;
    }

    private static JsonObject parameters(Path folder) throws IOException {
        JsonObject all = new JsonObject();
        for (String name : List.of("epoch-1", "epoch-2")) {
            Files.write(folder.resolve(name + ".parameters"), Consortium.PARAMETERS.get(name));
            all.addProperty(name, hex(Consortium.hashOf(name)));
        }
        return all;
    }

    private static JsonObject transaction(Vector vector, Path folder, Map<String, Vector> makers)
            throws IOException {
        JsonObject described = new JsonObject();
        described.addProperty("name", vector.name());
        described.addProperty("tx_id", hex(vector.signed().getId()));
        described.addProperty("verdict", vector.verdict());
        if (!vector.message().isEmpty()) {
            described.addProperty("message", vector.message());
        }
        if (!vector.trusted()) {
            described.addProperty("trusted", false);
        }
        Files.write(folder.resolve(vector.name() + ".stx"), vector.stx());
        JsonArray states = new JsonArray();
        for (int index = 0; index < vector.states().size(); index++) {
            Vector.State state = vector.states().get(index);
            JsonObject resolved = new JsonObject();
            resolved.addProperty("tx_id", hex(state.ref().getTxhash()));
            resolved.addProperty("index", state.ref().getIndex());
            resolved.addProperty("made_by", state.madeBy());
            resolved.addProperty("parameters", state.parameters());
            boolean asMade = Arrays.equals(state.bytes(), makers.get(state.madeBy()).output(state.ref().getIndex()));
            String file = (asMade ? state.madeBy() + "." + state.ref().getIndex() : vector.name()) + ".state";
            Files.write(folder.resolve(file), state.bytes());
            resolved.addProperty("file", file);
            states.add(resolved);
        }
        described.add("states", states);
        return described;
    }

    private static String hex(SecureHash hash) {
        return HEX.formatHex(hash.getBytes());
    }
}
