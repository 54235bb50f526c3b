"""The language of hand-written strategies: documents of conditions, and where these hold bar by bar.

Reading files, genomes and sizes of trades are the business of `handwritten`.
"""
