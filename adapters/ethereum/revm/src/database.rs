//! Key-value state as revm's database: read once, remembered for the block, written back as rows.
//!
//! Knows the row formats; where rows come from is behind [`Source`].

use revm::Database;
use revm::database_interface::DBErrorMarker;
use revm::primitives::{Address, AddressMap, B256, Bytes, HashMap, KECCAK_EMPTY, U256};
use revm::state::{Account, AccountInfo, Bytecode, EvmState};
use std::error::Error;
use std::fmt;

/// The three maps.
#[derive(Clone, Copy)]
pub enum Map {
    Accounts,
    Storage,
    Code,
}

/// Keys with their values.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Where rows come from.
pub trait Source {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;
    /// Every row of a map, in no order: for audits, and for SELFDESTRUCT as it was before EIP-6780.
    fn rows(&self, map: Map) -> Result<Rows, Fault>;
    fn block_hash(&self, number: u64) -> Result<B256, Fault>;
}

impl<S: Source> Source for &S {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        (**self).get(map, key)
    }

    fn rows(&self, map: Map) -> Result<Rows, Fault> {
        (**self).rows(map)
    }

    fn block_hash(&self, number: u64) -> Result<B256, Fault> {
        (**self).block_hash(number)
    }
}

/// State that cannot be read; execution stops.
#[derive(Debug)]
pub enum Fault {
    /// A row breaks its format, or is missing where another row names it.
    Row(String),
    /// The source itself failed.
    Source(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(what) => out.write_str(what),
            Self::Source(error) => error.fmt(out),
        }
    }
}

impl Error for Fault {}
impl DBErrorMarker for Fault {}

pub const SLOT_KEY_BYTES: usize = 52;

/// What one transaction changed, sorted by key; None removes.
#[derive(Default)]
pub struct Writes {
    pub accounts: Vec<(Address, Option<Vec<u8>>)>,
    pub storage: Vec<([u8; SLOT_KEY_BYTES], Option<Vec<u8>>)>,
    pub code: Vec<(B256, Bytes)>,
}

/// State as the block's transactions see it.
pub struct BlockState<S> {
    source: S,
    accounts: AddressMap<Option<AccountInfo>>,
    slots: HashMap<(Address, U256), U256>,
    codes: HashMap<B256, Bytecode>,
}

impl<S: Source> BlockState<S> {
    pub fn new(source: S) -> Self {
        Self { source, accounts: AddressMap::default(), slots: HashMap::default(), codes: HashMap::default() }
    }

    /// Read a transaction's sender and destination before it runs.
    pub fn fetch(&mut self, sender: Address, to: Option<Address>) -> Result<(), Fault> {
        self.basic(sender)?;
        let Some(to) = to else { return Ok(()) };
        if let Some(account) = self.basic(to)?
            && !account.is_empty_code_hash()
        {
            self.code_by_hash(account.code_hash)?;
        }
        Ok(())
    }

    /// Take over what a transaction did to state, and return it as rows.
    pub fn absorb(&mut self, changes: EvmState) -> Result<Writes, Fault> {
        let mut touched: Vec<(Address, Account)> =
            changes.into_iter().filter(|(_, account)| account.is_touched()).collect();
        touched.sort_unstable_by_key(|(address, _)| *address);
        let mut writes = Writes::default();
        for (address, account) in touched {
            if account.is_selfdestructed() {
                self.wipe(address, &account, &mut writes)?;
                self.set_account(address, None, &mut writes)?;
                continue;
            }
            self.set_slots(address, &account, &mut writes);
            // EIP-161: a touched account that is empty ceases to exist.
            let info = (!account.is_empty()).then_some(account.info);
            self.set_account(address, info, &mut writes)?;
        }
        writes.code.sort_unstable_by_key(|(hash, _)| *hash);
        writes.code.dedup_by_key(|(hash, _)| *hash);
        Ok(writes)
    }

    fn set_account(
        &mut self,
        address: Address,
        new: Option<AccountInfo>,
        writes: &mut Writes,
    ) -> Result<(), Fault> {
        let old = self.basic(address)?;
        if identity(&old) == identity(&new) {
            return Ok(());
        }
        if let Some(info) = &new
            && let Some(code) = &info.code
            && !info.is_empty_code_hash()
            && old.as_ref().is_none_or(|old| old.code_hash != info.code_hash)
        {
            self.set_code(info.code_hash, code, writes)?;
        }
        writes.accounts.push((address, new.as_ref().map(encode_account)));
        let stored = new.map(|info| AccountInfo { code: None, ..info });
        self.accounts.insert(address, stored);
        Ok(())
    }

    fn set_code(&mut self, hash: B256, code: &Bytecode, writes: &mut Writes) -> Result<(), Fault> {
        let known = self.codes.contains_key(&hash) || self.source.get(Map::Code, hash.as_slice())?.is_some();
        if !known {
            writes.code.push((hash, code.original_bytes()));
        }
        self.codes.insert(hash, code.clone());
        Ok(())
    }

    fn set_slots(&mut self, address: Address, account: &Account, writes: &mut Writes) {
        let mut changed: Vec<(U256, U256)> = account
            .storage
            .iter()
            .filter(|(_, slot)| slot.is_changed())
            .map(|(slot, values)| (*slot, values.present_value))
            .collect();
        changed.sort_unstable();
        for (slot, value) in changed {
            self.slots.insert((address, slot), value);
            writes.storage.push((slot_key(address, slot), encode_slot(value)));
        }
    }

    /// Remove all storage of a destructed account.
    ///
    /// One created in this transaction (all that EIP-6780 leaves) has written none yet. An older
    /// one, before cancun, may have any: then the whole map is searched.
    fn wipe(&mut self, address: Address, account: &Account, writes: &mut Writes) -> Result<(), Fault> {
        if account.is_created() {
            return Ok(());
        }
        for (key, value) in self.source.rows(Map::Storage)? {
            if key.len() == SLOT_KEY_BYTES && key.starts_with(address.as_slice()) {
                let slot = U256::from_be_slice(&key[address.len()..]);
                let value = decode_slot(&value)?;
                self.slots.entry((address, slot)).or_insert(value);
            }
        }
        let mut live: Vec<U256> = self
            .slots
            .iter_mut()
            .filter(|((owner, _), value)| *owner == address && !value.is_zero())
            .map(|((_, slot), value)| {
                *value = U256::ZERO;
                *slot
            })
            .collect();
        live.sort_unstable();
        writes.storage.extend(live.into_iter().map(|slot| (slot_key(address, slot), None)));
        Ok(())
    }
}

impl<S: Source> Database for BlockState<S> {
    type Error = Fault;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Fault> {
        if let Some(known) = self.accounts.get(&address) {
            return Ok(known.clone());
        }
        let row = self.source.get(Map::Accounts, address.as_slice())?;
        let account = row.map(|row| decode_account(address, &row)).transpose()?;
        self.accounts.insert(address, account.clone());
        Ok(account)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Fault> {
        if let Some(known) = self.codes.get(&hash) {
            return Ok(known.clone());
        }
        let row = self.source.get(Map::Code, hash.as_slice())?;
        let row = row.ok_or_else(|| Fault::Row(format!("code {hash} is missing")))?;
        let code = Bytecode::new_raw_checked(row.into())
            .map_err(|error| Fault::Row(format!("code {hash} is malformed: {error}")))?;
        self.codes.insert(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Fault> {
        if let Some(known) = self.slots.get(&(address, slot)) {
            return Ok(*known);
        }
        let row = self.source.get(Map::Storage, &slot_key(address, slot))?;
        let value = row.map_or(Ok(U256::ZERO), |row| decode_slot(&row))?;
        self.slots.insert((address, slot), value);
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Fault> {
        self.source.block_hash(number)
    }
}

/// What of an account is state (code is known by its hash).
fn identity(account: &Option<AccountInfo>) -> Option<(u64, U256, B256)> {
    account.as_ref().map(|info| (info.nonce, info.balance, info.code_hash))
}

pub fn encode_account(info: &AccountInfo) -> Vec<u8> {
    let mut row = Vec::with_capacity(72);
    row.extend_from_slice(&info.nonce.to_be_bytes());
    row.extend_from_slice(&info.balance.to_be_bytes::<32>());
    if !info.is_code_hash_empty_or_zero() {
        row.extend_from_slice(info.code_hash.as_slice());
    }
    row
}

pub fn decode_account(address: Address, row: &[u8]) -> Result<AccountInfo, Fault> {
    let malformed = || Fault::Row(format!("account {address} is malformed ({} bytes)", row.len()));
    let (nonce, rest) = row.split_first_chunk::<8>().ok_or_else(malformed)?;
    let (balance, rest) = rest.split_first_chunk::<32>().ok_or_else(malformed)?;
    let code_hash = match rest.len() {
        0 => KECCAK_EMPTY,
        32 => B256::from_slice(rest),
        _ => return Err(malformed()),
    };
    Ok(AccountInfo {
        balance: U256::from_be_bytes(*balance),
        nonce: u64::from_be_bytes(*nonce),
        code_hash,
        account_id: None,
        code: None,
    })
}

fn slot_key(address: Address, slot: U256) -> [u8; SLOT_KEY_BYTES] {
    let mut key = [0; SLOT_KEY_BYTES];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

fn encode_slot(value: U256) -> Option<Vec<u8>> {
    (!value.is_zero()).then(|| value.to_be_bytes_trimmed_vec())
}

pub fn decode_slot(row: &[u8]) -> Result<U256, Fault> {
    match row.first() {
        Some(first) if *first != 0 && row.len() <= 32 => Ok(U256::from_be_slice(row)),
        _ => Err(Fault::Row(format!("storage value of {} bytes is not in its shortest form", row.len()))),
    }
}
