-- Which generation the views of this database show. What a later generation computes lies in a database of its own,
-- whose name ends with the generation's number and whose own views always show it.

CREATE TABLE IF NOT EXISTS ${db}.promotions${local}${on_cluster}
(
    promotion UInt64 COMMENT 'Which promotion it is, from 1.',
    generation UInt32 COMMENT 'The generation that the views show from then on.',
    promoted_at DateTime64(3, 'UTC') COMMENT 'When it was promoted.'
)
ENGINE = ${replacing(promoted_at)}
ORDER BY (promotion)
COMMENT 'Which generation the views show: that of the last promotion; the first one where there is none.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.promotions${on_cluster} AS ${db}.promotions${local}
ENGINE = Distributed('${cluster}', '${db}', 'promotions${local}', cityHash64(promotion))
COMMENT 'Which generation the views show: that of the last promotion; the first one where there is none.';
