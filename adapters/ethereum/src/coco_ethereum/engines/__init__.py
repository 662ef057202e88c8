"""EVM engines and the choice between them."""

from coco_ethereum.engines.choice import ENGINES, EngineInfo, available, load

__all__ = ["ENGINES", "EngineInfo", "available", "load"]
