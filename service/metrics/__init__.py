"""Metrics of evaluations: one port (`base`), one file a formula, `making` which reads their names and options,
`stats` which sums up what they say."""

METRICS = {
    # what was found, held against gold sources
    "recall": "service.metrics.recall:Recall",
    "precision": "service.metrics.precision:Precision",
    "mrr": "service.metrics.mrr:Mrr",
    "ndcg": "service.metrics.ndcg:Ndcg",
    "sourceHit": "service.metrics.source_hit:SourceHit",
    # answers, without a model
    "exactMatch": "service.metrics.exact_match:ExactMatch",
    "tokenF1": "service.metrics.token_f1:TokenF1",
    "rougeL": "service.metrics.rouge_l:RougeL",
    "contains": "service.metrics.contains:Contains",
    "regex": "service.metrics.regex:Regex",
    "jsonSchema": "service.metrics.json_schema:JsonSchema",
    "semanticSimilarity": "service.metrics.semantic_similarity:SemanticSimilarity",
    "citationCorrectness": "service.metrics.citation_correctness:CitationCorrectness",
    "abstention": "service.metrics.abstention:Abstention",
    # what answers take
    "latency": "service.metrics.latency:Latency",
    "firstToken": "service.metrics.first_token:FirstToken",
    "tokens": "service.metrics.tokens:Tokens",
    "cost": "service.metrics.cost:Cost",
    "contextLength": "service.metrics.context_length:ContextLength",
    "length": "service.metrics.length:Length",
    # with a model
    "faithfulness": "service.metrics.faithfulness:Faithfulness",
    "answerRelevance": "service.metrics.answer_relevance:AnswerRelevance",
    "contextPrecision": "service.metrics.context_precision:ContextPrecision",
    "contextRecall": "service.metrics.context_recall:ContextRecall",
    "judged": "service.metrics.judged:Judged",
    # Flowise's own evaluators
    "text": "service.metrics.text:Text",
    "json": "service.metrics.json:Json",
    "numeric": "service.metrics.numeric:Numeric",
}
"""Name to the class of a metric, a `Metric` made from its options."""

EVALUATORS = {"text": "text", "json": "json", "numeric": "numeric", "llm": "judged"}
"""Flowise's types of evaluators to the metrics that grade as they say; options have the names of their fields."""
