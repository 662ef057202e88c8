package coco.example.warehouse;

import static net.corda.core.contracts.ContractsDSL.requireSingleCommand;
import static net.corda.core.contracts.ContractsDSL.requireThat;

import java.io.ByteArrayOutputStream;
import java.security.PublicKey;
import java.time.Instant;
import java.util.List;
import net.corda.core.contracts.Attachment;
import net.corda.core.contracts.CommandData;
import net.corda.core.contracts.CommandWithParties;
import net.corda.core.contracts.Contract;
import net.corda.core.contracts.ContractAttachment;
import net.corda.core.contracts.TypeOnlyCommandData;
import net.corda.core.transactions.LedgerTransaction;

/** Goods come in by a keeper with a licence and a list of what is in them, and change hands. */
public class WarehouseContract implements Contract {
    public static final String ID = "coco.example.warehouse.WarehouseContract";

    @Override
    public void verify(LedgerTransaction transaction) {
        CommandWithParties<Commands> command = requireSingleCommand(transaction.getCommands(), Commands.class);
        if (command.getValue() instanceof Commands.Store) {
            verifyStore(transaction, command.getSigners());
        } else {
            verifyHand(transaction, command.getSigners());
        }
    }

    private static void verifyStore(LedgerTransaction transaction, List<PublicKey> signers) {
        requireThat(require -> {
            require.using("Nothing is used up.", transaction.getInputs().isEmpty());
            List<GoodsState> goods = transaction.outputsOfType(GoodsState.class);
            require.using("One lot comes in.", goods.size() == 1);
            require.using("There are crates.", goods.get(0).getCrates() > 0);
            require.using("The keeper signs.", signers.contains(goods.get(0).getKeeper().getOwningKey()));
            List<LicenceState> licences = transaction.referenceInputsOfType(LicenceState.class);
            require.using("The keeper's licence is shown.",
                    licences.size() == 1 && licences.get(0).getKeeper().equals(goods.get(0).getKeeper()));
            require.using("It is known when.", transaction.getTimeWindow() != null);
            Instant until = transaction.getTimeWindow().getUntilTime();
            require.using("The licence lasts.", until != null && !until.isAfter(licences.get(0).getUntil()));
            require.using("A list says what is in them.", list(transaction).contains("crates"));
            return null;
        });
    }

    private static void verifyHand(LedgerTransaction transaction, List<PublicKey> signers) {
        requireThat(require -> {
            GoodsState before = transaction.inputsOfType(GoodsState.class).get(0);
            GoodsState after = transaction.outputsOfType(GoodsState.class).get(0);
            require.using("The lot stays the same.", before.getLinearId().equals(after.getLinearId())
                    && before.getCrates() == after.getCrates() && before.getKeeper().equals(after.getKeeper()));
            require.using("The owner signs.", signers.contains(before.getOwner().getOwningKey()));
            return null;
        });
    }

    private static String list(LedgerTransaction transaction) {
        for (Attachment attachment : transaction.getAttachments()) {
            if (!(attachment instanceof ContractAttachment)) {
                ByteArrayOutputStream text = new ByteArrayOutputStream();
                attachment.extractFile("list.txt", text);
                return text.toString();
            }
        }
        return "";
    }

    public interface Commands extends CommandData {
        class Store extends TypeOnlyCommandData implements Commands {}

        class Hand extends TypeOnlyCommandData implements Commands {}
    }
}
