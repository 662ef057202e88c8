package coco.corda.service;

import coco.corda.wire.SignableTemplate;
import coco.corda.wire.Template;
import coco.corda.wire.Verify;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import java.security.InvalidKeyException;
import java.security.PublicKey;
import java.security.SignatureException;
import java.security.interfaces.RSAPublicKey;
import java.util.List;
import java.util.Set;
import net.corda.core.crypto.CompositeKey;
import net.corda.core.crypto.CryptoUtils;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.TransactionWithSignatures;
import net.corda.core.transactions.WireTransaction;
import net.i2p.crypto.eddsa.EdDSAPublicKey;
import org.bouncycastle.math.ec.rfc8032.Ed25519;

/** Corda's own checks of signatures, given the keys: it would load a contract's classes to find them out. */
record Signatures(SecureHash id, List<TransactionSignature> sigs, Set<PublicKey> required)
        implements TransactionWithSignatures {
    private static final int TEMPLATES_MAX = 64;
    private static final Cache<SignatureMetadata, Template> TEMPLATES =
            CacheBuilder.newBuilder().maximumSize(TEMPLATES_MAX).build();

    static void check(
            SignedTransaction signed, WireTransaction wire, Verify.SignaturePolicy policy, PublicKey notary)
            throws RejectedTransaction {
        checkEffort(signed.getSigs(), wire.getId());
        Signatures signatures = new Signatures(wire.getId(), signed.getSigs(), Description.requiredSigners(wire));
        try {
            if (policy == Verify.SignaturePolicy.ALL) {
                signatures.verifyRequiredSignatures();
            } else {
                signatures.verifySignaturesExcept(notary);
            }
        } catch (Exception error) {
            throw RejectedTransaction.because(error, wire.getId());
        }
    }

    /**
     * Anybody may send signatures, whatever checking one costs: of RSA with a long exponent, seconds. A composite key
     * signs by its own keys; one signature of it would be as many as its sender likes.
     */
    private static void checkEffort(List<TransactionSignature> signatures, SecureHash txId) throws RejectedTransaction {
        if (signatures.size() > Limits.SIGNATURES) {
            throw RejectedTransaction.because(
                    new SignatureException("more than " + Limits.SIGNATURES + " signatures"), txId);
        }
        for (TransactionSignature signature : signatures) {
            PublicKey key = signature.getBy();
            boolean isLong = key instanceof RSAPublicKey rsa
                    && (rsa.getModulus().bitLength() > Limits.RSA_MODULUS_BITS
                            || rsa.getPublicExponent().bitLength() > Limits.RSA_EXPONENT_BITS);
            if (isLong || key instanceof CompositeKey) {
                throw RejectedTransaction.because(
                        new SignatureException("signatures of keys like " + CryptoUtils.toStringShort(key) + " are not taken"),
                        txId);
            }
        }
    }

    @Override
    public void checkSignaturesAreValid() throws InvalidKeyException, SignatureException {
        for (TransactionSignature signature : sigs) {
            if (!isPlainEd25519(signature)) {
                signature.verify(id);
            }
        }
    }

    /**
     * Whether it is an Ed25519 signature that holds, in a fraction of the time Corda takes. Only a yes counts: Corda judges
     * everything else.
     *
     * <p>Bouncy Castle accepts less than Corda's library, never more: both compare the same R with the encoding of
     * [S]B - [k]A, without the cofactor (RFC 8032, 5.1.7), and it takes no S, R or A that is not canonical besides.
     */
    private boolean isPlainEd25519(TransactionSignature signature) {
        byte[] bytes = signature.getBytes();
        if (!(signature.getBy() instanceof EdDSAPublicKey key)
                || !(id instanceof SecureHash.SHA256)
                || bytes.length != Ed25519.SIGNATURE_SIZE
                || signature.getPartialMerkleTree() != null) {
            return false;
        }
        Template template = templateOf(signature.getSignatureMetadata());
        byte[] message = template.getTemplate().toByteArray();
        System.arraycopy(id.getBytes(), 0, message, template.getTxIdOffset(), Forms.HASH_BYTES);
        return Ed25519.verify(bytes, 0, key.getAbyte(), 0, message, 0, message.length);
    }

    private static Template templateOf(SignatureMetadata metadata) {
        Template known = TEMPLATES.getIfPresent(metadata);
        if (known == null) {
            known = NotarySignature.template(SignableTemplate.newBuilder()
                    .setPlatformVersion(metadata.getPlatformVersion())
                    .setSchemeNumberId(metadata.getSchemeNumberID())
                    .build());
            TEMPLATES.put(metadata, known);
        }
        return known;
    }

    @Override
    public SecureHash getId() {
        return id;
    }

    @Override
    public List<TransactionSignature> getSigs() {
        return sigs;
    }

    @Override
    public Set<PublicKey> getRequiredSigningKeys() {
        return required;
    }

    @Override
    public List<String> getKeyDescriptions(Set<? extends PublicKey> keys) {
        return keys.stream().map(CryptoUtils::toStringShort).toList();
    }
}
