"""What becomes of a strategy that survived: its document, the folder of documents, its stages, the shadow pool.

Judging strategies belongs to `validation`, sending orders to `trading`. Enter by `config.StrategyConfig`,
`repository.StrategyRepository`, `selection.choose_for_shadow` and `deploy.deploy`.
"""
