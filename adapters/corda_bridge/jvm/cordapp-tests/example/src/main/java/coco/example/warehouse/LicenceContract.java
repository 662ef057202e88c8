package coco.example.warehouse;

import static net.corda.core.contracts.ContractsDSL.requireSingleCommand;
import static net.corda.core.contracts.ContractsDSL.requireThat;

import net.corda.core.contracts.CommandWithParties;
import net.corda.core.contracts.Contract;
import net.corda.core.contracts.TypeOnlyCommandData;
import net.corda.core.transactions.LedgerTransaction;

/** Licences are granted by the authority that they name. */
public class LicenceContract implements Contract {
    public static final String ID = "coco.example.warehouse.LicenceContract";

    @Override
    public void verify(LedgerTransaction transaction) {
        CommandWithParties<Grant> grant = requireSingleCommand(transaction.getCommands(), Grant.class);
        LicenceState licence = transaction.outputsOfType(LicenceState.class).get(0);
        requireThat(require -> {
            require.using("The authority grants.", grant.getSigners().contains(licence.getAuthority().getOwningKey()));
            return null;
        });
    }

    public static class Grant extends TypeOnlyCommandData {}
}
