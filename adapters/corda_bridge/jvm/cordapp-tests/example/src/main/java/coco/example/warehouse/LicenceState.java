package coco.example.warehouse;

import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import net.corda.core.contracts.BelongsToContract;
import net.corda.core.contracts.ContractState;
import net.corda.core.identity.AbstractParty;
import net.corda.core.identity.Party;

/** Lets a keeper keep goods until a time; transactions refer to it and do not use it up. */
@BelongsToContract(LicenceContract.class)
public class LicenceState implements ContractState {
    private final Party authority;
    private final Party keeper;
    private final Instant until;

    public LicenceState(Party authority, Party keeper, Instant until) {
        this.authority = authority;
        this.keeper = keeper;
        this.until = until;
    }

    public Party getAuthority() {
        return authority;
    }

    public Party getKeeper() {
        return keeper;
    }

    public Instant getUntil() {
        return until;
    }

    @Override
    public List<AbstractParty> getParticipants() {
        return Arrays.asList(authority, keeper);
    }
}
