-- Which run called the flow of this one, where a node or a tool of an agentflow did.

ALTER TABLE executions ADD COLUMN parent_id uuid;
