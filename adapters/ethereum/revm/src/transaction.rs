//! Envelopes in, senders out: everything about a transaction that needs no state.

use crate::verdict::Verdict;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Transaction, TxEnvelope, Typed2718};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error};
use revm::context::TxEnv;
use revm::context_interface::either::Either;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{B256, keccak256};
use std::num::NonZero;
use std::sync::OnceLock;

/// Fewer transactions than this per thread are not worth starting it.
const PER_THREAD_MIN: usize = 16;
const THREADS_MAX: usize = 8;

/// A decoded transaction whose signature holds.
pub struct Signed {
    pub hash: B256,
    pub env: TxEnv,
}

/// Decode every envelope and recover its sender, on all cores when there are many.
pub fn recover_all(raws: &[&[u8]], chain_id: u64, spec: SpecId) -> Vec<Result<Signed, Verdict>> {
    let recover_one = |raw: &&[u8]| recover(raw, chain_id, spec);
    let threads = (raws.len() / PER_THREAD_MIN).min(THREADS_MAX);
    let threads = if threads < 2 { threads } else { threads.min(cores()) };
    if threads < 2 {
        return raws.iter().map(recover_one).collect();
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = raws
            .chunks(raws.len().div_ceil(threads))
            .map(|part| scope.spawn(move || part.iter().map(recover_one).collect::<Vec<_>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Cores of this process, asked once: on Linux the answer is read from files.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Decode one envelope and recover its sender (EIP-2718, 155, 2, 7702).
fn recover(raw: &[u8], chain_id: u64, spec: SpecId) -> Result<Signed, Verdict> {
    check_type(raw, spec)?;
    let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|error| match error {
        Eip2718Error::RlpError(error) => Verdict::undecodable(error),
        error => Verdict::undecodable(error),
    })?;
    if envelope.is_legacy()
        && let Some(chain_id) = envelope.chain_id()
        && 35 + 2 * u128::from(chain_id) + u128::from(envelope.signature().v()) > u128::from(u64::MAX)
    {
        return Err(Verdict::undecodable("v exceeds 64 bits"));
    }
    let hash = keccak256(raw);
    if let Some(have) = envelope.chain_id()
        && have != chain_id
    {
        let message = format!("invalid chain id for signer: have {have} want {chain_id}");
        return Err(Verdict::new("chain-id", message, hash));
    }
    let caller = envelope.recover_signer().map_err(|_| {
        let message = "invalid sender: invalid transaction v, r, s values".to_owned();
        Verdict::new("signature", message, hash)
    })?;
    let authorizations = envelope.authorization_list().unwrap_or_default();
    let env = TxEnv {
        tx_type: envelope.ty(),
        caller,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations
            .iter()
            .map(|one| Either::Right(one.clone().into_recovered()))
            .collect(),
    };
    Ok(Signed { hash, env })
}

/// Refuse by the first byte what is no transaction of this fork.
fn check_type(raw: &[u8], spec: SpecId) -> Result<(), Verdict> {
    match raw.first() {
        None => Err(Verdict::undecodable("empty transaction")),
        Some(0x80..=0xbf) => Err(Verdict::undecodable("expected list")),
        Some(0xc0.. | 1 | 2) => Ok(()),
        Some(3) => Err(Verdict::new("blob-not-supported", "blob transaction not supported".to_owned(), None)),
        Some(4) if spec.is_enabled_in(SpecId::PRAGUE) => Ok(()),
        Some(_) => Err(Verdict::new("type-not-supported", "transaction type not supported".to_owned(), None)),
    }
}
