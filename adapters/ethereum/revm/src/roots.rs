//! Merkle-Patricia roots (yellow paper §4.1, §4.3.2).

use crate::database::{Fault, Map, SLOT_KEY_BYTES, Source, decode_account, decode_slot};
use alloy_trie::TrieAccount;
use alloy_trie::root::{ordered_trie_root_encoded, state_root_unhashed, storage_root_unhashed};
use revm::primitives::{Address, AddressMap, B256, U256};

/// The root of `rlp(index) -> item`.
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    ordered_trie_root_encoded(items)
}

/// The root of all state; slow, it hashes every row.
pub fn state_root<S: Source>(source: &S) -> Result<B256, Fault> {
    let mut slots: AddressMap<Vec<(B256, U256)>> = AddressMap::default();
    for (key, value) in source.rows(Map::Storage)? {
        if key.len() != SLOT_KEY_BYTES {
            return Err(Fault::Row(format!("storage key of {} bytes", key.len())));
        }
        let (address, slot) = key.split_at(Address::len_bytes());
        let entry = (B256::from_slice(slot), decode_slot(&value)?);
        slots.entry(Address::from_slice(address)).or_default().push(entry);
    }
    let mut accounts = Vec::new();
    for (key, row) in source.rows(Map::Accounts)? {
        if key.len() != Address::len_bytes() {
            return Err(Fault::Row(format!("account key of {} bytes", key.len())));
        }
        let address = Address::from_slice(&key);
        let info = decode_account(address, &row)?;
        let account = TrieAccount {
            nonce: info.nonce,
            balance: info.balance,
            storage_root: storage_root_unhashed(slots.remove(&address).unwrap_or_default()),
            code_hash: info.code_hash,
        };
        accounts.push((address, account));
    }
    Ok(state_root_unhashed(accounts))
}
