package coco.corda.acceptance;

import coco.corda.client.Finance;
import coco.corda.client.Member;
import coco.corda.internal.Corda;
import com.r3.corda.lib.tokens.contracts.states.FungibleToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import net.corda.core.contracts.HashAttachmentConstraint;
import net.corda.core.crypto.SecureHash;
import net.corda.core.node.NetworkParameters;
import net.corda.core.node.NotaryInfo;
import net.corda.finance.contracts.asset.Cash;

/** Who takes part in every example here: a notary, an issuing bank, two members, and their network parameters. */
final class Consortium {
    static final Member NOTARY = Member.derived("Coco Notary", "Zurich", "CH", 1);
    static final Member BANK = Member.derived("Bank of Examples", "London", "GB", 2);
    static final Member ALICE = Member.derived("Alice", "Paris", "FR", 3);
    static final Member BOB = Member.derived("Bob", "New York", "US", 4);
    static final Member OTHER_NOTARY = Member.derived("Other Notary", "Bern", "CH", 5);
    static final Instant START = Instant.parse("2024-01-01T00:00:00Z");

    private Consortium() {}

    /** By name: two epochs of the same rules, and one nobody was told of. */
    static final Map<String, byte[]> PARAMETERS =
            Map.of("epoch-1", parameters(1), "epoch-2", parameters(2), "unknown", parameters(9));

    static SecureHash hashOf(String parameters) {
        return SecureHash.sha256(PARAMETERS.get(parameters));
    }

    static byte[] parameters(int epoch) {
        Corda.start();
        List<NotaryInfo> notaries =
                List.of(new NotaryInfo(NOTARY.party(), true), new NotaryInfo(OTHER_NOTARY.party(), true));
        return Corda.serialize(
                new NetworkParameters(4, notaries, 10_485_760, 52_428_800, START, epoch, Map.of()));
    }

    /** An attachment without code. */
    static byte[] data() {
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            ZipOutputStream zip = new ZipOutputStream(bytes);
            ZipEntry entry = new ZipEntry("terms.txt");
            entry.setTimeLocal(LocalDateTime.of(2024, 1, 1, 0, 0));
            zip.putNextEntry(entry);
            zip.write("Payable on demand.".getBytes(StandardCharsets.UTF_8));
            zip.close();
            return bytes.toByteArray();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** R3's published finance contracts, as the build resolved them. */
    static byte[] financeContracts() {
        return jarOf(Cash.class);
    }

    /** R3's published token contracts, likewise. */
    static byte[] tokenContracts() {
        return jarOf(FungibleToken.class);
    }

    static Finance finance() {
        SecureHash jar = SecureHash.sha256(financeContracts());
        return new Finance(NOTARY.party(), hashOf("epoch-2"), jar, new HashAttachmentConstraint(jar));
    }

    private static byte[] jarOf(Class<?> type) {
        try {
            return Files.readAllBytes(Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()));
        } catch (IOException | java.net.URISyntaxException error) {
            throw new IllegalStateException("the jar of " + type.getName() + " is not on the class path", error);
        }
    }
}
