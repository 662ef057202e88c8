package coco.example.warehouse;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.UUID;
import javax.persistence.Column;
import javax.persistence.Entity;
import javax.persistence.LockModeType;
import javax.persistence.Table;
import net.corda.core.contracts.BelongsToContract;
import net.corda.core.contracts.LinearState;
import net.corda.core.contracts.UniqueIdentifier;
import net.corda.core.identity.AbstractParty;
import net.corda.core.identity.Party;
import net.corda.core.schemas.MappedSchema;
import net.corda.core.schemas.PersistentState;
import net.corda.core.schemas.QueryableState;

/** So many crates that a keeper has in store for their owner; a node would keep them in a table. */
@BelongsToContract(WarehouseContract.class)
public class GoodsState implements LinearState, QueryableState {
    private final int crates;
    private final Party keeper;
    private final Party owner;
    private final UniqueIdentifier linearId;

    public GoodsState(int crates, Party keeper, Party owner, UniqueIdentifier linearId) {
        this.crates = crates;
        this.keeper = keeper;
        this.owner = owner;
        this.linearId = linearId;
    }

    public int getCrates() {
        return crates;
    }

    public Party getKeeper() {
        return keeper;
    }

    public Party getOwner() {
        return owner;
    }

    @Override
    public UniqueIdentifier getLinearId() {
        return linearId;
    }

    @Override
    public List<AbstractParty> getParticipants() {
        return Arrays.asList(keeper, owner);
    }

    @Override
    public Iterable<MappedSchema> supportedSchemas() {
        return Collections.singletonList(new GoodsSchema());
    }

    @Override
    public PersistentState generateMappedObject(MappedSchema schema) {
        return new GoodsSchema.PersistentGoods(linearId.getId(), crates);
    }

    /** Who looks a lot up locks it so. A type of JPA, as states may name: every node of Corda has those. */
    public LockModeType lockedWhenLookedUp() {
        return LockModeType.PESSIMISTIC_WRITE;
    }

    public static class GoodsSchema extends MappedSchema {
        public GoodsSchema() {
            super(GoodsSchema.class, 1, Collections.singletonList(PersistentGoods.class));
        }

        @Entity
        @Table(name = "goods")
        public static class PersistentGoods extends PersistentState {
            @Column(name = "linear_id")
            private final UUID linearId;

            @Column(name = "crates")
            private final int crates;

            public PersistentGoods(UUID linearId, int crates) {
                this.linearId = linearId;
                this.crates = crates;
            }

            public PersistentGoods() {
                this(null, 0);
            }

            public UUID getLinearId() {
                return linearId;
            }

            public int getCrates() {
                return crates;
            }
        }
    }
}
