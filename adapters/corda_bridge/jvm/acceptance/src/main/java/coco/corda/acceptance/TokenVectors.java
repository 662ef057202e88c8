package coco.corda.acceptance;

import static coco.corda.acceptance.Consortium.ALICE;
import static coco.corda.acceptance.Consortium.BANK;
import static coco.corda.acceptance.Consortium.BOB;
import static coco.corda.acceptance.Consortium.NOTARY;

import coco.corda.client.Draft;
import coco.corda.client.Member;
import com.r3.corda.lib.tokens.contracts.commands.IssueTokenCommand;
import com.r3.corda.lib.tokens.contracts.commands.MoveTokenCommand;
import com.r3.corda.lib.tokens.contracts.commands.RedeemTokenCommand;
import com.r3.corda.lib.tokens.contracts.states.FungibleToken;
import com.r3.corda.lib.tokens.contracts.types.IssuedTokenType;
import com.r3.corda.lib.tokens.contracts.types.TokenType;
import java.util.List;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.HashAttachmentConstraint;

/** Tokens by R3's published token contracts, a jar of other signers than the finance contracts'. */
final class TokenVectors {
    private static final String CONTRACT = "com.r3.corda.lib.tokens.contracts.FungibleTokenContract";
    private static final IssuedTokenType GOLD = new IssuedTokenType(BANK.party(), new TokenType("GOLD", 3));

    private final Vectors vectors;

    TokenVectors(Vectors vectors) {
        this.vectors = vectors;
    }

    void add() {
        vectors.holds("token-issue", token(draft(), 5_000, ALICE)
                .command(new IssueTokenCommand(GOLD, List.of(0)), BANK.key()), BANK);
        vectors.holds("token-move", token(token(draft().input(vectors.ref("token-issue")), 3_000, BOB), 2_000, ALICE)
                .command(new MoveTokenCommand(GOLD, List.of(0), List.of(0, 1)), ALICE.key()), ALICE);
        vectors.holds("token-redeem", draft().input(vectors.ref("token-move"))
                .command(new RedeemTokenCommand(GOLD, List.of(0), List.of()), BOB.key(), BANK.key()), BOB, BANK);
        vectors.refused("token-issued-by-another", Vectors.REJECTED, "The issuer must be the signing party",
                token(draft(), 5_000, BOB).command(new IssueTokenCommand(GOLD, List.of(0)), BOB.key()), BOB);
        vectors.refused("token-more-than-there-is", Vectors.REJECTED, "you cannot create or destroy value",
                token(draft().input(vectors.ref("token-issue")), 5_001, BOB)
                        .command(new MoveTokenCommand(GOLD, List.of(0), List.of(0)), ALICE.key()), ALICE);
        vectors.refused("token-moved-by-another", Vectors.REJECTED, "does not contain all the current owners",
                token(draft().input(vectors.ref("token-issue")), 5_000, BOB)
                        .command(new MoveTokenCommand(GOLD, List.of(0), List.of(0)), BOB.key()), BOB);
    }

    private static Draft draft() {
        return new Draft(NOTARY.party(), Consortium.hashOf("epoch-2")).attachment(Asking.TOKENS);
    }

    private static Draft token(Draft draft, long quantity, Member holder) {
        return draft.output(new FungibleToken(new Amount<>(quantity, GOLD), holder.party()), CONTRACT,
                new HashAttachmentConstraint(Asking.TOKENS));
    }
}
