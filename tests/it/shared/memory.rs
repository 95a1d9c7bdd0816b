use tower_bearer::testing::MemoryStore;

use super::{contract::contract, faulty_store::FaultyStore};

#[tokio::test(start_paused = true)]
async fn the_store_in_memory_keeps_the_contract() {
    contract(MemoryStore::new()).await;
    contract(FaultyStore::default()).await;
}
