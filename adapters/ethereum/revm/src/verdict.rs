//! Why a transaction is invalid, in geth's words and under the codes both engines share.

use revm::context::result::{HaltReason, InvalidTransaction};
use revm::context::{BlockEnv, TxEnv};
use revm::primitives::B256;
use std::fmt::Display;

/// A broken validity rule.
pub struct Verdict {
    pub code: &'static str,
    pub message: String,
    /// None when the bytes were not understood far enough to be a transaction.
    pub hash: Option<B256>,
}

impl Verdict {
    pub fn new(code: &'static str, message: String, hash: impl Into<Option<B256>>) -> Self {
        Self { code, message, hash: hash.into() }
    }

    pub fn undecodable(why: impl Display) -> Self {
        Self::new("undecodable", format!("rlp: {why}"), None)
    }
}

/// Name the rule revm found broken, and tell the numbers that break it.
pub fn explain(error: &InvalidTransaction, tx: &TxEnv, block: &BlockEnv) -> (&'static str, String) {
    use InvalidTransaction as E;
    let address = tx.caller;
    match error {
        E::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            ("gas-limit-cap", format!("transaction gas limit too high (cap: {cap}, tx: {gas_limit})"))
        }
        E::PriorityFeeGreaterThanMaxFee => (
            "tip-above-fee-cap",
            format!(
                "max priority fee per gas higher than max fee per gas: address {address}, \
                 maxPriorityFeePerGas: {}, maxFeePerGas: {}",
                tx.gas_priority_fee.unwrap_or_default(),
                tx.gas_price
            ),
        ),
        E::GasPriceLessThanBasefee => (
            "fee-cap-below-base-fee",
            format!(
                "max fee per gas less than block base fee: address {address}, maxFeePerGas: {}, baseFee: {}",
                tx.gas_price, block.basefee
            ),
        ),
        E::EmptyAuthorizationList => (
            "empty-authorization-list",
            format!("EIP-7702 transaction with empty auth list (sender {address})"),
        ),
        E::CallerGasLimitMoreThanBlock => (
            "gas-limit",
            format!("exceeds block gas limit: have {}, limit {}", tx.gas_limit, block.gas_limit),
        ),
        E::CreateInitCodeSizeLimit => {
            ("initcode-size", format!("max initcode size exceeded: code size {}", tx.data.len()))
        }
        E::NonceOverflowInTransaction => {
            ("nonce-max", format!("nonce has max value: address {address}, nonce: {}", tx.nonce))
        }
        E::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            ("intrinsic-gas", format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}"))
        }
        E::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => (
            "gas-floor",
            format!("insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}"),
        ),
        E::RejectCallerWithCode => ("sender-not-eoa", format!("sender not an eoa: address {address}")),
        E::NonceTooHigh { tx, state } => {
            ("nonce-too-high", format!("nonce too high: address {address}, tx: {tx} state: {state}"))
        }
        E::NonceTooLow { tx, state } => {
            ("nonce-too-low", format!("nonce too low: address {address}, tx: {tx} state: {state}"))
        }
        E::OverflowPaymentInTransaction => (
            "overflow",
            format!(
                "insufficient funds for gas * price + value: address {address} required balance out of range"
            ),
        ),
        E::LackOfFundForMaxFee { fee, balance } => (
            "insufficient-funds",
            format!(
                "insufficient funds for gas * price + value: address {address} have {balance} want {fee}"
            ),
        ),
        // The rest concerns chain ids and types, which transaction.rs has already judged.
        other => ("type-not-supported", format!("transaction type not supported: {other}")),
    }
}

/// What ended an execution, in geth's words (core/vm/errors.go) as far as they name no numbers.
pub fn halt(reason: &HaltReason) -> &'static str {
    use HaltReason as H;
    match reason {
        H::OutOfGas(_) => "out of gas",
        H::OpcodeNotFound | H::NotActivated => "invalid opcode",
        H::InvalidFEOpcode => "invalid opcode: INVALID",
        H::InvalidJump => "invalid jump destination",
        H::StackUnderflow => "stack underflow",
        H::StackOverflow => "stack limit reached",
        H::OutOfOffset => "return data out of bounds",
        H::CreateCollision => "contract address collision",
        H::PrecompileError | H::PrecompileErrorWithContext(_) => "precompile failed",
        H::NonceOverflow => "nonce uint64 overflow",
        H::CreateContractSizeLimit => "max code size exceeded",
        H::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        H::CreateInitCodeSizeLimit => "max initcode size exceeded",
        H::StateChangeDuringStaticCall | H::CallNotAllowedInsideStatic => "write protection",
        H::OutOfFunds | H::OverflowPayment => "insufficient balance for transfer",
        H::CallTooDeep => "max call depth exceeded",
    }
}
