//! Run a block's transactions on revm.

use crate::database::{BlockState, Fault, Source, Writes};
use crate::transaction::{Signed, recover_all};
use crate::verdict::{Verdict, explain};
use alloy_consensus::{Receipt, ReceiptEnvelope, ReceiptWithBloom};
use alloy_eips::eip2718::Encodable2718;
use revm::context::result::{EVMError, ExecutionResult};
use revm::context::{BlockEnv, CfgEnv, ContextTr, Transaction, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::alloy_primitives::Bloom;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, Bytes, Log, U256};
use revm::{Context, Database, ExecuteEvm, MainBuilder, MainContext};
use std::fmt;

/// Memory of all frames of a transaction together (EIP-1985). No transaction below 34 G gas can pay
/// for more, even spread over 1024 frames, so it never decides one; it stops a call with unlimited gas.
const MEMORY_BYTES_MAX: u64 = u32::MAX as u64;

/// From this gas limit on a transaction runs apart from the caller's other threads: a million gas buys up
/// to 25 ms (KECCAK256 over long memory). Below it, asking for the caller's turn at every read costs more.
const HEAVY_GAS_MIN: u64 = 1_000_000;

/// Lighter transactions together give way after this much.
const PAUSE_GAS: u64 = 2_000_000;

/// Transactions whose senders are recovered at once: enough for every thread, and a bound on what is looked
/// at in vain when the block is full.
const WINDOW: usize = 128;

/// A block that had no room so often is full: what follows is not looked at (`NO_ROOM_MAX` of the contract).
const NO_ROOM_MAX: usize = 8;

/// The environment of a block.
pub struct Environment {
    pub chain_id: u64,
    pub spec: SpecId,
    pub number: u64,
    pub timestamp: u64,
    pub gas_limit: u64,
    pub base_fee: u64,
    pub coinbase: Address,
    pub prev_randao: B256,
    pub excess_blob_gas: u64,
    /// The gas limit bounds each transaction alone.
    pub pinned: bool,
}

impl Environment {
    pub fn block(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: self.coinbase,
            timestamp: U256::from(self.timestamp),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            difficulty: U256::ZERO,
            prevrandao: Some(self.prev_randao),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(
                self.excess_blob_gas,
                self.spec,
            )),
            ..BlockEnv::default()
        }
    }

    pub fn config(&self) -> CfgEnv {
        let mut config = CfgEnv::new_with_spec(self.spec).with_chain_id(self.chain_id);
        config.memory_limit = MEMORY_BYTES_MAX;
        config
    }
}

/// Why nothing could be executed; never a transaction's fault.
#[derive(Debug)]
pub enum Failure {
    State(Fault),
    /// A call that cannot begin.
    Call(String),
    /// revm contradicts itself.
    Engine(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(fault) => fault.fmt(out),
            Self::Call(why) | Self::Engine(why) => out.write_str(why),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::State(fault)
    }
}

/// The effect of a valid transaction.
pub struct Executed {
    pub hash: B256,
    pub sender: Address,
    pub to: Option<Address>,
    pub created: Option<Address>,
    pub kind: u8,
    pub success: bool,
    pub gas_used: u64,
    pub effective_gas_price: u128,
    pub output: Bytes,
    pub log_count: usize,
    pub receipt: Vec<u8>,
    pub writes: Writes,
}

pub enum Outcome {
    Executed(Box<Executed>),
    Invalid(Verdict),
    NoRoom,
}

pub struct Block {
    pub outcomes: Vec<Outcome>,
    pub gas_used: u64,
    pub logs_bloom: Bloom,
}

/// A caller that can do without what only one thread may hold (Python's GIL) while something is worked on.
pub trait Caller {
    fn apart<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T;
}

/// Execute transactions in order, each over what the ones before wrote.
pub fn execute_block<S: Source + Send, C: Caller>(
    source: S,
    environment: &Environment,
    raws: &[&[u8]],
    caller: &C,
) -> Result<Block, Failure> {
    let mut run = Run {
        state: BlockState::new(source),
        environment,
        block: Block { outcomes: Vec::with_capacity(raws.len()), gas_used: 0, logs_bloom: Bloom::ZERO },
        without_room: 0,
        unshared: 0,
    };
    for window in raws.chunks(WINDOW) {
        if run.is_full() {
            break;
        }
        let signed = caller.apart(|| recover_all(window, environment.chain_id, environment.spec));
        let mut rest = signed.into_iter().peekable();
        while let Some(first) = rest.next() {
            let heavy = is_heavy(&first);
            let group = std::iter::successors(Some(first), |_| rest.next_if(|next| is_heavy(next) == heavy));
            let group: Vec<_> = group.collect();
            if heavy {
                run.fetch(&group)?;
                caller.apart(|| run.execute(group, || ()))?;
            } else {
                run.execute(group, || caller.apart(|| ()))?;
            }
        }
    }
    run.block.outcomes.resize_with(raws.len(), || Outcome::NoRoom);
    Ok(run.block)
}

/// Whether a transaction may run for so long that no other thread can be asked to wait for it.
fn is_heavy(transaction: &Result<Signed, Verdict>) -> bool {
    transaction.as_ref().is_ok_and(|signed| signed.env.gas_limit >= HEAVY_GAS_MIN)
}

/// A block being filled.
struct Run<'a, S> {
    state: BlockState<S>,
    environment: &'a Environment,
    block: Block,
    without_room: usize,
    /// Gas used since other threads last had a turn.
    unshared: u64,
}

impl<S: Source> Run<'_, S> {
    fn is_full(&self) -> bool {
        self.without_room >= NO_ROOM_MAX
    }

    /// Read ahead what transactions certainly need, so that fewer reads have to wait for the caller's turn.
    fn fetch(&mut self, group: &[Result<Signed, Verdict>]) -> Result<(), Failure> {
        self.state.basic(self.environment.coinbase)?;
        for signed in group.iter().flatten() {
            self.state.fetch(signed.env.caller, signed.env.kind.into_to())?;
        }
        Ok(())
    }

    /// Execute some of the block's transactions; between them, now and then, `pause`.
    fn execute(&mut self, group: Vec<Result<Signed, Verdict>>, pause: impl Fn()) -> Result<(), Failure> {
        let environment = self.environment;
        let block = &mut self.block;
        let mut evm = Context::mainnet()
            .with_db(&mut self.state)
            .with_block(environment.block())
            .with_cfg(environment.config())
            .build_mainnet();
        for transaction in group {
            let signed = match transaction {
                _ if self.without_room >= NO_ROOM_MAX => {
                    block.outcomes.push(Outcome::NoRoom);
                    continue;
                }
                Ok(signed) => signed,
                Err(verdict) => {
                    block.outcomes.push(Outcome::Invalid(verdict));
                    continue;
                }
            };
            if !environment.pinned && lacks_room(&signed.env, environment.gas_limit, block.gas_used) {
                self.without_room += 1;
                block.outcomes.push(Outcome::NoRoom);
                continue;
            }
            let outcome = match evm.transact(signed.env) {
                Ok(done) => {
                    let writes = evm.ctx.db_mut().absorb(done.state)?;
                    let gas_used = done.result.tx_gas_used();
                    block.gas_used += gas_used;
                    self.unshared += gas_used;
                    let bloom = &mut block.logs_bloom;
                    let (tx, base_fee) = (&evm.ctx.tx, environment.base_fee);
                    let executed =
                        conclude(signed.hash, tx, done.result, writes, base_fee, block.gas_used, bloom);
                    Outcome::Executed(Box::new(executed))
                }
                Err(EVMError::Transaction(error)) => {
                    let (code, message) = explain(&error, &evm.ctx.tx, &evm.ctx.block);
                    Outcome::Invalid(Verdict::new(code, message, signed.hash))
                }
                Err(EVMError::Database(fault)) => return Err(Failure::State(fault)),
                Err(error) => return Err(Failure::Engine(error.to_string())),
            };
            block.outcomes.push(outcome);
            if self.unshared >= PAUSE_GAS {
                self.unshared = 0;
                pause();
            }
        }
        Ok(())
    }
}

/// Whether the block could hold the transaction but is too full for it by now.
fn lacks_room(tx: &TxEnv, gas_limit: u64, gas_used: u64) -> bool {
    tx.gas_limit <= gas_limit && tx.gas_limit > gas_limit.saturating_sub(gas_used)
}

/// Make the result and the receipt of an executed transaction.
fn conclude(
    hash: B256,
    tx: &TxEnv,
    result: ExecutionResult,
    writes: Writes,
    base_fee: u64,
    cumulative_gas_used: u64,
    block_bloom: &mut Bloom,
) -> Executed {
    let success = result.is_success();
    let gas_used = result.tx_gas_used();
    let output = result.output().cloned().unwrap_or_default();
    // Only what succeeds logs: revm tells the logs before a revert as well.
    let logs = if success { result.into_logs() } else { Vec::new() };
    let log_count = logs.len();
    let receipt = Receipt { status: success.into(), cumulative_gas_used, logs }.with_bloom();
    *block_bloom |= receipt.logs_bloom;
    let to = tx.kind.into_to();
    Executed {
        hash,
        sender: tx.caller,
        to,
        created: to.is_none().then(|| tx.caller.create(tx.nonce)),
        kind: tx.tx_type,
        success,
        gas_used,
        effective_gas_price: tx.effective_gas_price(u128::from(base_fee)),
        output,
        log_count,
        receipt: encode_receipt(tx.tx_type, receipt),
        writes,
    }
}

/// Encode a receipt as the receipts trie holds it (EIP-2718).
fn encode_receipt(kind: u8, receipt: ReceiptWithBloom<Receipt<Log>>) -> Vec<u8> {
    let envelope = match kind {
        1 => ReceiptEnvelope::Eip2930(receipt),
        2 => ReceiptEnvelope::Eip1559(receipt),
        4 => ReceiptEnvelope::Eip7702(receipt),
        _ => ReceiptEnvelope::Legacy(receipt),
    };
    envelope.encoded_2718()
}
